/** The worker process as it is run in production, with a processor for tests. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../workers/main.ts', import.meta.url))

const PROCESSOR = `
export async function processor(job) {
  if (job.name === 'double') return job.data.n * 2
  if (job.name === 'fail') throw new Error('as told')
  if (job.name === 'slow') await new Promise((resolve) => setTimeout(resolve, 400))
  if (job.name === 'endless') await new Promise(() => setInterval(() => {}, 1000))
  return 'done'
}
`

export interface WorkerOptions {
  readonly url: string
  /** Further arguments; later ones win. */
  readonly args?: readonly string[]
  /** Variables beside those of this process. */
  readonly environment?: Readonly<Record<string, string>>
}

/** Works on the queue `work`. */
export class WorkerUnderTest {
  output = ''
  private readonly child: ChildProcess
  private readonly directory: string
  private readonly exited: Promise<unknown[]>

  constructor({ url, args = [], environment = {} }: WorkerOptions) {
    this.directory = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
    const processor = join(this.directory, 'processor.mjs')
    writeFileSync(processor, PROCESSOR)
    const required = ['--processor', processor, '--queue', 'work', '--url', url]
    this.child = spawn(process.execPath, [MAIN, ...required, '--log-level', 'debug', ...args], {
      env: { ...process.env, ...environment },
    })
    this.exited = once(this.child, 'exit')
    this.child.stdout?.on('data', (chunk) => (this.output += String(chunk)))
    this.child.stderr?.on('data', (chunk) => (this.output += String(chunk)))
  }

  /** Ends the process, whatever its state, and removes its files. */
  async dispose(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exited
    rmSync(this.directory, { recursive: true, force: true })
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** The exit code. */
  async ended(): Promise<unknown> {
    const [code] = await this.exited
    return code
  }

  /** Waits until a line with this message was logged `times` times. */
  async logged(message: string, times = 1): Promise<void> {
    while (this.lines(message).length < times) {
      if (this.child.exitCode !== null) throw new Error(`The worker ended: ${this.output}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  lines(message: string): Record<string, unknown>[] {
    return this.output
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line): Record<string, unknown> => JSON.parse(line))
      .filter((line) => line.msg === message)
  }
}
