/** What a tool for data files is: a command of the command line that runs beside servers, and ends with an exit code. */

/** How a tool speaks to whoever started it. */
export interface ToolIo {
  /** Writes a line of the result. */
  print(line: string): void
  /** Writes a line about what went wrong with the call itself. */
  complain(line: string): void
  /** Asks a question; resolves to the line that is answered, null at the end of the input. */
  ask(question: string): Promise<string | null>
  /** The time, in ms since 1970. */
  now(): number
}

export interface Tool {
  /** What `--help` shows: forms of the call and options. */
  readonly usage: string
  /** Runs with the words behind the tool's name. Resolves to the exit code. @throws ToolError, UsageError */
  run(args: readonly string[], io: ToolIo): Promise<number>
}

/** The tool cannot do its work: a file that cannot be read, an operation that failed. The message is for the user. */
export class ToolError extends Error {}

/** The call is not understood. */
export class UsageError extends Error {}
