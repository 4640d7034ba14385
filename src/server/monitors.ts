/**
 * Clients in MONITOR mode: each command that was executed is shown to them as one line.
 *
 *     +1339518083.107412 [0 127.0.0.1:60866] "set" "key" "value"
 *
 * Source: Valkey src/replication.c `replicationFeedMonitors`.
 */
import { quote } from '../bytes/quoting.ts'
import type { Args } from '../resp/args.ts'
import type { Client } from './client.ts'

export class Monitors {
  private readonly clients = new Set<Client>()
  /** Whether there is any; commands cost nothing more while there is none. */
  isEmpty: boolean = true
  /** Sends a line to a client; installed by the server. */
  send: (monitor: Client, line: Buffer) => void = () => {}

  add(client: Client): void {
    this.clients.add(client)
    this.isEmpty = false
  }

  remove(client: Client): void {
    this.clients.delete(client)
    this.isEmpty = this.clients.size === 0
  }

  /** Shows a command that `client` has called; arguments with indices in `secrets` are not shown. */
  feed(client: Client, args: Args, secrets: readonly number[], inScript: boolean): void {
    const microseconds = Math.floor((performance.timeOrigin + performance.now()) * 1000)
    const seconds = Math.floor(microseconds / 1_000_000)
    const fraction = String(microseconds % 1_000_000).padStart(6, '0')
    const origin = inScript ? 'lua' : client.connection.isUnixSocket ? `unix:${client.localAddress}` : client.address
    let line = `+${seconds}.${fraction} [${client.db.index} ${origin}]`
    for (let i = 0; i < args.count; i++) line += ` ${secrets.includes(i) ? '"(redacted)"' : quote(args.text(i))}`
    const bytes = Buffer.from(`${line}\r\n`, 'latin1')
    for (const monitor of [...this.clients]) this.send(monitor, bytes)
  }
}
