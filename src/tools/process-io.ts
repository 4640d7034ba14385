/** A tool's ways to its user when it runs as a process: standard output, input and error. */
import { createInterface } from 'node:readline'
import type { ToolIo } from './tool.ts'

/** Nobody reads on: the exit code of a program that is ended so. */
const EXIT_CODE_BROKEN_PIPE = 1

export function processIo(): ToolIo {
  // `report … | head`: what is left to say has nobody who reads it.
  process.stdout.on('error', () => process.exit(EXIT_CODE_BROKEN_PIPE))
  return {
    print: (line) => void process.stdout.write(`${line}\n`),
    complain: (line) => void process.stderr.write(`${line}\n`),
    ask,
    now: () => Date.now(),
  }
}

async function ask(question: string): Promise<string | null> {
  process.stdout.write(question)
  const lines = createInterface({ input: process.stdin })
  try {
    for await (const line of lines) return line
    return null
  } finally {
    lines.close()
  }
}
