/** A plain connection to the reference server, whose replies come decoded as the bench's do. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { ReferenceServer } from '../bytes/reference-server.ts'
import { decodeFirst, type Reply } from './resp-decode.ts'

export class ReferenceClient {
  readonly #server: ReferenceServer
  readonly #socket: Socket

  private constructor(server: ReferenceServer, socket: Socket) {
    this.#server = server
    this.#socket = socket
  }

  static async start(): Promise<ReferenceClient> {
    const server = await ReferenceServer.start()
    const socket = connect(join(server.directory, 'redis.sock'))
    await once(socket, 'connect')
    socket.setEncoding('latin1')
    return new ReferenceClient(server, socket)
  }

  /** Sends one command given as byte strings. */
  async call(...words: string[]): Promise<Reply> {
    const request = words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')
    this.#socket.write(Buffer.from(`*${words.length}\r\n${request}`, 'latin1'))
    let text = ''
    for (;;) {
      const [chunk] = await once(this.#socket, 'data')
      text += String(chunk)
      const first = decodeFirst(text)
      if (first !== null) return first.reply
    }
  }

  async stop(): Promise<void> {
    this.#socket.destroy()
    await this.#server.stop()
  }
}
