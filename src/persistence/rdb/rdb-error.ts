/** What ends the reading of an RDB file or of a DUMP payload. */
export class RdbError extends Error {
  /** Where the record or value is wrong, in bytes from the start of the source. */
  readonly offset: number

  /** @param problem what was expected and what was found, without the offset. */
  constructor(problem: string, offset: number) {
    super(`${problem}, at offset ${offset}`)
    this.name = 'RdbError'
    this.offset = offset
  }
}
