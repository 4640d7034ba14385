/**
 * The tools for data files, by their names on the command line. They read what servers write, beside them or when they
 * are gone; none of them is loaded in a server.
 */
import type { ToolName } from '../config/command-line.ts'
import { checkAof } from './check-aof.ts'
import { checkRdb } from './check-rdb.ts'
import { report } from './report.ts'
import { type Tool, ToolError, type ToolIo, UsageError } from './tool.ts'

const TOOLS: Readonly<Record<ToolName, Tool>> = { 'check-aof': checkAof, 'check-rdb': checkRdb, report }

/** Runs a tool with the words behind its name. Resolves to the exit code: 0, or 1 when something is wrong. */
export async function runTool(name: ToolName, args: readonly string[], io: ToolIo): Promise<number> {
  const tool = TOOLS[name]
  if (args.includes('--help') || args.includes('-h')) {
    io.print(tool.usage.trimEnd())
    return 0
  }
  try {
    return await tool.run(args, io)
  } catch (error) {
    if (error instanceof UsageError) {
      io.complain(`${error.message}\n`)
      io.complain(tool.usage.trimEnd())
    } else if (error instanceof ToolError) io.print(error.message)
    else throw error
    return 1
  }
}
