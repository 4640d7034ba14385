/**
 * One script, run by a real redis-server and by the script engine, both as the raw RESP text of the reply.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatDouble } from '../../src/bytes/double.ts'
import { ArgsBuilder } from '../../src/resp/args.ts'
import { RespSink } from '../../src/resp/reply.ts'
import { LuaCompileError } from '../../src/scripting/lua/lexer.ts'
import { LuaTable } from '../../src/scripting/lua/table.ts'
import type { LuaValue } from '../../src/scripting/lua/value.ts'
import { type EngineHost, ScriptEngine } from '../../src/scripting/script-engine.ts'
import { ShebangError } from '../../src/scripting/shebang.ts'
import { Arena } from '../../src/storage/arena.ts'

/** A host without any command. */
export class EmptyHost implements EngineHost {
  readonly args = new ArgsBuilder()
  readonly numberText = formatDouble
  hasFailed: boolean = false
  respVersion = 2

  resolve(): object | null {
    return null
  }

  call(): LuaValue {
    this.hasFailed = true
    return new LuaTable().init('err', 'ERR Unknown Redis command called from script')
  }

  setResp(version: number): void {
    this.respVersion = version
  }

  errorReplied(): void {}

  setReplication(): void {}

  log(): void {}

  isAllowed(): boolean | null {
    return null
  }

  tick(): number {
    return 10_000
  }
}

/** Runs scripts in an engine of its own. */
export class LocalEval {
  readonly host = new EmptyHost()
  readonly engine = new ScriptEngine(this.host)
  private readonly sink = new RespSink(new Arena())

  run(source: string, keys: LuaValue[] = [], argv: LuaValue[] = []): string {
    this.sink.reset()
    this.host.respVersion = 2
    try {
      this.engine.run(this.engine.load(source), keys, argv, this.sink)
    } catch (error) {
      if (error instanceof ShebangError) this.sink.error(`ERR ${error.message}`)
      else if (error instanceof LuaCompileError) {
        this.sink.error(`ERR Error compiling script (new function): ${error.message}`)
      } else throw error
    }
    return this.sink.buffer.latin1Slice(0, this.sink.at)
  }
}

/** A redis-server of its own, spoken to in raw RESP. */
export class ReferenceEval {
  private readonly folder: string
  private readonly child: ChildProcess
  private readonly socket: Socket
  private received = ''
  private wake: () => void = () => {}

  private constructor(folder: string, child: ChildProcess, socket: Socket) {
    this.folder = folder
    this.child = child
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text) => {
      this.received += String(text)
      this.wake()
    })
  }

  static async start(): Promise<ReferenceEval> {
    const folder = mkdtempSync(join(tmpdir(), 'eval-'))
    const path = join(folder, 'redis.sock')
    const child = spawn('redis-server', ['--port', '0', '--unixsocket', path, '--dir', folder, '--save', ''], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    for await (const chunk of child.stdout ?? []) if (String(chunk).includes('ready to accept')) break
    const socket = connect(path)
    await once(socket, 'connect')
    return new ReferenceEval(folder, child, socket)
  }

  /** The raw reply of a command; a PING behind it shows where it ends. */
  async command(...words: readonly string[]): Promise<string> {
    this.received = ''
    const text = words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')
    const end = '$13\r\nend-of-reply!\r\n'
    this.socket.write(Buffer.from(`*${words.length}\r\n${text}*2\r\n$4\r\nPING\r\n${end}`, 'latin1'))
    while (!this.received.endsWith(end)) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.received.slice(0, -end.length)
  }

  async stop(): Promise<void> {
    this.socket.destroy()
    const exit = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await exit
    rmSync(this.folder, { recursive: true })
  }
}
