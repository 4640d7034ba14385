/**
 * Settings of V8's optimising compiler for this program.
 *
 * A command passes some sixty small functions, from the decoder to the arena. V8 stops inlining into one function after
 * 920 bytes of bytecode, which leaves most of those calls in; with a larger budget a pipelined command takes 8 to 12 %
 * less CPU (bench/engine.ts). Functions are compiled after they have run for a while, so a setting at start counts.
 */
import { setFlagsFromString } from 'node:v8'

/** Lets more be inlined. To be called once, before the first request. */
export function allowInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=6000')
  setFlagsFromString('--max-inlined-bytecode-size=1000')
}
