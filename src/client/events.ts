/** What a client tells about itself. */
import type { RealtimeError } from './errors.ts'

/**
 * `connecting` until the first connection, `reconnecting` after one was lost; `open` when all subscriptions are in force
 * again.
 */
export type ConnectionState = 'connecting' | 'open' | 'reconnecting' | 'closed'

export interface ClientEvents {
  /** @see ConnectionState. `error`: why the connection was lost, null when it was not. */
  state: { readonly state: ConnectionState; readonly error: RealtimeError | null }
  /** Entries behind `after` may be missing, because they were trimmed away; `first` is the first that is there. */
  gap: { readonly stream: string; readonly after: string; readonly first: string | null }
  /** Messages that the server has dropped, because the client was too slow and had asked for it. */
  dropped: { readonly subscription: string; readonly count: number }
  /** A subscription or consumption that the server has ended, or refused after a reconnect. */
  ended: { readonly subscription: string; readonly error: RealtimeError }
  /** What a listener or handler has thrown, or a request in the background. */
  error: { readonly error: unknown }
}

type Listener<Event> = (event: Event) => void

export class Emitter {
  private readonly listeners = new Map<string, Set<Listener<never>>>()

  /** Returns what takes the listener away again. */
  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    const listeners = this.listeners.get(name) ?? new Set()
    this.listeners.set(name, listeners)
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<Name extends keyof ClientEvents>(name: Name, event: ClientEvents[Name]): void {
    for (const listener of this.listeners.get(name) ?? []) (listener as Listener<ClientEvents[Name]>)(event)
  }
}
