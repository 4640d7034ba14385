/** A replica that a test plays: what the primary sends, piece by piece. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { encodeCommand } from '../../support/resp-client.ts'

export interface FullResync {
  readonly id: string
  readonly offset: number
}

export class ReplicaProbe {
  readonly #socket: Socket
  /** Bytes to be read, and what has come behind them. */
  #bytes: Buffer = Buffer.alloc(0)
  #chunks: Buffer[] = []
  #chunkBytes = 0
  #isClosed = false
  /** Bytes of the stream that `nextCommand` has read. */
  streamBytes = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#chunkBytes += chunk.length
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#isClosed = true
    })
  }

  static async connect(port: number): Promise<ReplicaProbe> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new ReplicaProbe(socket)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  send(...words: readonly string[]): void {
    this.#socket.write(Buffer.from(encodeCommand(words), 'latin1'))
  }

  /** Sends a command and returns the line that answers it. */
  async call(...words: readonly string[]): Promise<string> {
    this.send(...words)
    return this.line()
  }

  /** Tells about itself, as replicas do before they ask for data. */
  async announce(...capabilities: readonly string[]): Promise<void> {
    for (const capability of ['psync2', ...capabilities]) await this.call('REPLCONF', 'capa', capability)
  }

  /** Asks for everything. Returns what stands before the payload. */
  async fullResync(): Promise<FullResync> {
    const line = await this.call('PSYNC', '?', '-1')
    const [, id = '', offset = ''] = /^\+FULLRESYNC (\w{40}) (\d+)$/.exec(line) ?? []
    if (id === '') throw new Error(`No full resync: ${line}`)
    return { id, offset: Number(offset) }
  }

  /** The payload of a snapshot. */
  async payload(): Promise<Buffer> {
    return this.take(await this.payloadSize())
  }

  async payloadSize(): Promise<number> {
    return Number((await this.line()).slice(1))
  }

  /** Attaches with SYNC. The stream follows. */
  async attach(): Promise<void> {
    this.#socket.write('SYNC\r\n')
    await this.payload()
  }

  /** The next command of the stream, its words joined by spaces. */
  async nextCommand(): Promise<string> {
    const head = await this.line()
    this.streamBytes += head.length + 2
    const words: string[] = []
    for (let left = Number(head.slice(1)); left > 0; left--) {
      const size = await this.line()
      const word = await this.take(Number(size.slice(1)))
      await this.take(2)
      this.streamBytes += size.length + 2 + word.length + 2
      words.push(word.toString('latin1'))
    }
    return words.join(' ')
  }

  async commands(count: number): Promise<string[]> {
    const commands: string[] = []
    while (commands.length < count) commands.push(await this.nextCommand())
    return commands
  }

  /** The next line that is not empty: newlines keep the connection alive. */
  async line(): Promise<string> {
    for (;;) {
      this.#gather()
      const end = this.#bytes.indexOf('\n')
      if (end >= 0) {
        const line = this.#bytes.latin1Slice(0, end).replace(/\r$/, '')
        this.#bytes = this.#bytes.subarray(end + 1)
        if (line !== '') return line
      } else await this.#more()
    }
  }

  async take(count: number): Promise<Buffer> {
    while (this.#bytes.length + this.#chunkBytes < count) await this.#more()
    this.#gather()
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.subarray(count)
    return taken
  }

  pause(): void {
    this.#socket.pause()
  }

  /** Resolves when the primary has closed the connection. */
  async closed(): Promise<void> {
    this.#socket.resume()
    if (!this.#isClosed) await once(this.#socket, 'close')
  }

  close(): void {
    this.#socket.destroy()
  }

  #gather(): void {
    if (this.#chunkBytes === 0) return
    this.#bytes = Buffer.concat([this.#bytes, ...this.#chunks])
    this.#chunks = []
    this.#chunkBytes = 0
  }

  async #more(): Promise<void> {
    if (this.#isClosed) throw new Error('The primary has closed the connection')
    await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close')])
  }
}
