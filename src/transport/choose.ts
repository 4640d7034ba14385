/** Which transport sockets are listened on with (directive `transport`). */
import type { Transport } from './contract.ts'
import { loadNativeTransport } from './native.ts'
import { nodeTransport } from './node.ts'

export type TransportName = 'auto' | 'native' | 'node'

export interface TransportChoice {
  readonly transport: Transport
  /** Why it is not the native one although that was preferred; null when it is, or was not. */
  readonly problem: string | null
}

/** @throws Error when the native transport is asked for and cannot be had */
export function chooseTransport(name: TransportName): TransportChoice {
  if (name === 'node') return { transport: nodeTransport, problem: null }
  const native = loadNativeTransport()
  if (typeof native !== 'string') return { transport: native, problem: null }
  if (name === 'native') throw new Error(`The native transport cannot be used: ${native}`)
  return { transport: nodeTransport, problem: native }
}
