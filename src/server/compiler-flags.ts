/**
 * Settings of V8 for this program.
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

/**
 * Makes methods of strings fast again, for the whole process. The first class that extends String, as ioredis has one, makes V8
 * keep the methods of all strings in a table, and then `charCodeAt` is looked up and called for each char: 28 ns instead
 * of 6 (measured). Walking over a String object has V8 put them back. To be called when the
 * modules of a program are loaded; costs a microsecond.
 */
export function keepStringsFast(): void {
  for (const _ in new String('')) break
}
