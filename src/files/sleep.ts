/** To wait on: nobody ever changes it. */
const STILL: Int32Array = new Int32Array(new SharedArrayBuffer(4))

/** Holds up the whole thread for so many ms. */
export function sleep(ms: number): void {
  Atomics.wait(STILL, 0, 0, ms)
}
