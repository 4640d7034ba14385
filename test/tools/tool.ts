/** Runs programs that users have: with a limit of time, and to be skipped where they are not installed. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Whether a program can be run with these arguments. */
export function hasTool(command: string, args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    console.info(`Skipped: ${command} ${args.join(' ')} cannot be run here`)
    return false
  }
}

export interface ToolResult {
  readonly code: number | null
  readonly output: string
}

/** Runs a program to its end; one that takes longer than `limitMs` is ended and has code null. */
export async function runTool(
  command: string,
  args: readonly string[],
  limitMs: number,
  stdin: string | null = null,
): Promise<ToolResult> {
  const tool = new RunningTool(command, args, limitMs)
  tool.child.stdin?.end(stdin ?? undefined)
  return tool.ended()
}

/** A program that runs until it is ended. */
export class RunningTool {
  output = ''
  readonly child: ChildProcess
  readonly #closed: Promise<unknown>
  readonly #timer: NodeJS.Timeout
  readonly #waiting: (() => void)[] = []

  constructor(command: string, args: readonly string[], limitMs: number) {
    this.child = spawn(command, args, { stdio: 'pipe' })
    this.#closed = once(this.child, 'close')
    this.#timer = setTimeout(() => this.child.kill('SIGKILL'), limitMs)
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => {
        this.output += String(chunk)
        this.#wake()
      })
    }
    this.child.on('close', () => this.#wake())
  }

  /** Resolves when the output holds a text. Rejects when the program ends before. */
  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`It ended without saying ${JSON.stringify(text)}: ${this.output}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async ended(): Promise<ToolResult> {
    await this.#closed
    clearTimeout(this.#timer)
    return { code: this.child.exitCode, output: this.output }
  }

  async end(): Promise<ToolResult> {
    this.child.kill('SIGTERM')
    return this.ended()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
