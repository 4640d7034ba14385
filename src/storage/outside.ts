/**
 * Memory outside the V8 heap that the garbage collector does not react to.
 *
 * V8 counts every ArrayBuffer as pressure and starts a full mark (3 to 15 ms each, measured) after some tens of
 * megabytes of them, although nothing can be freed. It does not count SharedArrayBuffers. So everything that is long
 * lived and big is one of those; small ones stay ArrayBuffers, which are cheaper to make and to free.
 */

/** From this size on memory is taken outside of V8's account, in bytes. */
const OUTSIDE_MIN_BYTES = 64 * 1024

/** A zeroed buffer for long-lived data. It is given back when nothing refers to it any more. */
export function outsideMemory(bytes: number): ArrayBuffer | SharedArrayBuffer {
  return bytes >= OUTSIDE_MIN_BYTES ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes)
}
