/** A process started with any arguments, whether it becomes a server or not. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = 'src/main.ts'
/** Longest wait for anything that a process is to do, in ms. */
const LIMIT_MS = 20_000

export class Launched {
  stdout = ''
  stderr = ''
  readonly child: ChildProcess
  readonly #waiting: (() => void)[] = []

  constructor(
    args: readonly string[],
    stdin: string | null = null,
    command: readonly string[] = [process.execPath, MAIN],
  ) {
    this.child = spawn(command[0]!, [...command.slice(1), ...args], { cwd: ROOT, stdio: 'pipe' })
    this.child.stdin?.end(stdin ?? undefined)
    this.child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk)
      this.#wake()
    })
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk)
      this.#wake()
    })
    this.child.on('close', () => this.#wake())
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** Resolves when the server says that it is ready. */
  async ready(): Promise<this> {
    await this.until(() => this.stdout.includes('Ready to accept connections'))
    return this
  }

  /** Resolves when a condition that depends on output or exit holds. */
  async until(isTrue: () => boolean): Promise<void> {
    const limit = performance.now() + LIMIT_MS
    while (!isTrue()) {
      if (performance.now() > limit) throw new Error(`Not within ${LIMIT_MS} ms; output: ${this.stdout}${this.stderr}`)
      if (this.hasExited && !isTrue()) {
        if (this.child.stdout?.readableEnded !== false) throw new Error(`Ended first: ${this.stdout}${this.stderr}`)
      }
      await Promise.race([
        new Promise<void>((resolve) => this.#waiting.push(resolve)),
        new Promise((resolve) => setTimeout(resolve, 50)),
      ])
    }
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** The exit code, or the signal that ended the process. */
  async exit(): Promise<number | string> {
    if (!this.hasExited) {
      const timer = setTimeout(() => this.child.kill('SIGKILL'), LIMIT_MS)
      await once(this.child, 'close')
      clearTimeout(timer)
    }
    return this.child.exitCode ?? this.child.signalCode ?? -1
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
