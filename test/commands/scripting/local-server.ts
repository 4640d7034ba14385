/** A whole server without sockets, spoken to in words; its replies are raw RESP. */
import { configFromOptions } from '../../../src/config/config.ts'
import type { Log } from '../../../src/observe/log.ts'
import { ArgsBuilder } from '../../../src/resp/args.ts'
import { RespSink } from '../../../src/resp/reply.ts'
import type { Client } from '../../../src/server/client.ts'
import { Server } from '../../../src/server/server.ts'
import { TestClock } from '../../support/broker.ts'
import { decodeAll } from '../resp-decode.ts'

const silent = new Proxy({} as Log, { get: () => () => {} })

export class LocalServer {
  readonly server = new Server({
    config: configFromOptions({ save: '' }),
    log: silent,
    clock: new TestClock(),
  })
  readonly effects: string[] = []
  private readonly client: Client = this.server.createInternalClient(0)
  private readonly sink = new RespSink(this.server.keyspace.arena)
  private readonly request = new ArgsBuilder()

  constructor() {
    this.server.journal.subscribe((buffer, start, end) => {
      for (const effect of decodeAll(buffer.latin1Slice(start, end))) this.effects.push((effect as string[]).join(' '))
    })
  }

  command(...words: readonly string[]): string {
    this.request.clear()
    for (const word of words) this.request.text(word)
    this.sink.reset()
    this.sink.version = this.client.respVersion
    this.server.pipeline.execute(this.client, this.request.args, this.sink)
    this.server.journal.drain()
    return this.sink.buffer.latin1Slice(0, this.sink.at)
  }

  takeEffects(): string[] {
    return this.effects.splice(0)
  }
}
