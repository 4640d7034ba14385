/**
 * Settings of V8 for this program.
 *
 * A command passes some sixty small functions, from the decoder to the arena. V8 stops inlining into one function after
 * 920 bytes of bytecode, which leaves most of those calls in; with twice as much a pipelined GET takes 4 % less CPU (bench/engine.ts).
 * More is a bad bargain: with 6000 it is 6 %, but the compiler's threads take as much CPU as all commands in the first seconds,
 * and scripts, which reach hundreds of functions, run 15 % slower even when all is compiled. Functions are compiled after
 * they have run for a while, so a setting at start counts.
 */
import { setFlagsFromString } from 'node:v8'

/** Lets more be inlined. To be called once, before the first request. */
export function allowInlining(): void {
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=2000')
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
