/** A connection that gives the raw text of each reply of a pipeline. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { encodeCommand } from '../../support/resp-client.ts'

const END = 'end-of-reply!'
const END_REPLY = `$${END.length}\r\n${END}\r\n`

export class RawConnection {
  private readonly socket: Socket
  private received = ''
  private isClosed = false
  private wake: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.setNoDelay(true)
    socket.on('data', (text: string) => {
      this.received += text
      this.wake()
    })
    socket.on('close', () => {
      this.isClosed = true
      this.wake()
    })
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawConnection(socket)
  }

  /** The raw replies of commands that are sent at once; an ECHO behind each shows where its reply ends. */
  async replies(commands: readonly (readonly string[])[]): Promise<string[]> {
    this.received = ''
    const text = commands.map((words) => encodeCommand(words) + encodeCommand(['ECHO', END])).join('')
    this.socket.write(Buffer.from(text, 'latin1'))
    for (;;) {
      const parts = this.received.split(END_REPLY)
      if (parts.length > commands.length) return parts.slice(0, -1)
      if (this.isClosed) throw new Error(`The server closed the connection after ${parts.length - 1} replies`)
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }
}
