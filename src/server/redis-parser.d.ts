// redis-parser ships no types; these are the parts in use.
declare module 'redis-parser' {
  interface ParserOptions {
    returnReply(reply: unknown): void
    returnError(error: Error): void
    returnFatalError(error: Error): void
    returnBuffers?: boolean
    stringNumbers?: boolean
  }

  class Parser {
    constructor(options: ParserOptions)
    execute(chunk: Buffer): void
  }

  export = Parser
}
