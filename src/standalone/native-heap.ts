/**
 * Memory that native code has freed goes back to the system, and so do pages of Node's program that are not in use
 * (transport/native/heap.cc). For a process of our own only: the settings are those of the whole process. Cold.
 *
 * The compiler of V8 leaves 25 to 30 MB in the hands of malloc while a server gets into its stride, and starting touches
 * 40 MB of the program that serving does not. Without the addon they stay there.
 */
import { loadAddon } from '../files/addon.ts'

/** What native/heap.cc exports. */
export interface NativeHeap {
  /** From now on malloc keeps little of what is freed. */
  keepLittle(): void
  /** Returns what is free, and pages of the program, on another thread. */
  returnFree(): void
}

/** Null where it was not built: on other systems, or at an installation without a compiler. */
export function loadNativeHeap(): NativeHeap | null {
  if (process.platform !== 'linux') return null
  try {
    return loadAddon('heap') as NativeHeap
  } catch {
    // The server does not need it; that there is no compiler the log says for the sake of the transport.
    return null
  }
}
