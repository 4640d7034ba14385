/** Runs a tool for data files in this process, with what it says. */
import type { ToolName } from '../../src/config/command-line.ts'
import { runTool } from '../../src/tools/tools.ts'

/** The time that tools see: 2026-03-04 05:06:07 UTC. */
export const NOW_MS = Date.UTC(2026, 2, 4, 5, 6, 7)

export interface ToolRun {
  readonly code: number
  /** What it printed. */
  readonly output: string
  /** What it said about the call. */
  readonly complaint: string
  readonly questions: readonly string[]
}

/** `answers` are given to its questions, in order; then the input is at its end. */
export async function run(name: ToolName, args: readonly string[], answers: readonly string[] = []): Promise<ToolRun> {
  const output: string[] = []
  const complaints: string[] = []
  const questions: string[] = []
  const code = await runTool(name, args, {
    print: (line) => output.push(line),
    complain: (line) => complaints.push(line),
    ask: async (question) => {
      questions.push(question)
      return answers[questions.length - 1] ?? null
    },
    now: () => NOW_MS,
  })
  return { code, output: output.join('\n'), complaint: complaints.join('\n'), questions }
}
