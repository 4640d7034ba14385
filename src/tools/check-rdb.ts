/**
 * `check-rdb FILE`: whether a server can load an RDB file. Every value is built and checked as at a start, and the checksum
 * is compared. Lines that scripts look for are those of redis-check-rdb. Source: Valkey 7.2 src/valkey-check-rdb.c.
 */
import { RdbError } from '../persistence/rdb/rdb-error.ts'
import { RdbItem, type RdbReader } from '../persistence/rdb/rdb-reader.ts'
import { type DataFile, FileKind, withDataFile } from './data-file.ts'
import { RdbScan } from './rdb-scan.ts'
import { shownName } from './shown-name.ts'
import { type Tool, ToolError, type ToolIo, UsageError } from './tool.ts'

/** Bytes of the file between two lines that tell how far it is. */
const PROGRESS_BYTES = 256 * 1024 * 1024

export const checkRdb: Tool = {
  usage: `Usage: millrace check-rdb FILE

Says whether a server can load the RDB file: reads all of it, builds each value, compares the checksum.
Exit code: 0 when it can be loaded, 1 when not; what is wrong is told with its offset.
`,
  run: runCheckRdb,
}

async function runCheckRdb(args: readonly string[], io: ToolIo): Promise<number> {
  const [path, ...rest] = args
  if (path === undefined || rest.length > 0 || path.startsWith('--')) throw new UsageError('Expected one file')
  return withDataFile(path, (file) => {
    if (file.kind === FileKind.Empty) throw new ToolError(`Cannot check ${path}: the file is empty`)
    if (file.kind === FileKind.Manifest)
      throw new ToolError(`Cannot check ${path}: it is the manifest of an append-only file, use check-aof`)
    const end = scanRdb(file, io)
    if (end === null) return 1
    if (end === file.size) return 0
    io.print(`[offset ${end}] Not checked: ${file.size - end} bytes behind the end of the RDB file, use check-aof`)
    return 0
  })
}

/** Checks a file, or what of it stands before the commands of an append-only file. Returns its end, null when it is wrong. */
export function scanRdb(file: DataFile, io: ToolIo): number | null {
  return new RdbCheck(file, io).run()
}

class RdbCheck {
  private readonly file: DataFile
  private readonly io: ToolIo
  private readonly scan: RdbScan
  private readonly startMs: number
  private keys = 0
  private expires = 0
  private expired = 0
  private functions = 0
  private emptyKeys = 0
  private lastKey: string | null = null
  private progressAt: number = PROGRESS_BYTES

  constructor(file: DataFile, io: ToolIo) {
    this.file = file
    this.io = io
    this.startMs = io.now()
    this.scan = new RdbScan(file, (item, reader) => this.take(item, reader))
  }

  run(): number | null {
    const { io, file } = this
    io.print(`[offset 0] Checking RDB file ${file.path}`)
    try {
      const end = this.scan.run()
      io.print(`[offset ${end}] \\o/ RDB looks OK! \\o/`)
      this.printCounts()
      return end
    } catch (error) {
      if (!(error instanceof RdbError)) throw error
      io.print('--- RDB ERROR DETECTED ---')
      io.print(`[offset ${error.offset}] ${error.message}`)
      if (this.lastKey !== null) io.print(`[additional info] The last key before it is '${shownName(this.lastKey)}'`)
      this.printCounts()
      return null
    }
  }

  private take(item: RdbItem, reader: RdbReader): void {
    const { io } = this
    const at = reader.recordStart
    if (item === RdbItem.Key) this.takeKey(reader)
    else if (item === RdbItem.EmptyKey) this.emptyKeys++
    else if (item === RdbItem.Function) this.functions++
    else if (item === RdbItem.Database) io.print(`[offset ${at}] Selecting DB ID ${reader.dbIndex}`)
    else if (item === RdbItem.Aux)
      io.print(`[offset ${at}] AUX FIELD ${shownName(reader.auxName)} = '${shownName(reader.auxValue)}'`)
  }

  private takeKey(reader: RdbReader): void {
    this.keys++
    if (reader.expireMs >= 0) {
      this.expires++
      if (reader.expireMs < this.startMs) this.expired++
    }
    this.lastKey = reader.keyBuffer.latin1Slice(reader.keyStart, reader.keyStart + reader.keyLength)
    if (reader.recordEnd < this.progressAt) return
    this.progressAt = reader.recordEnd + PROGRESS_BYTES
    const percent = Math.floor((reader.recordEnd / this.file.size) * 100)
    this.io.print(`[offset ${reader.recordEnd}] ${percent} %, ${this.keys} keys read`)
  }

  private printCounts(): void {
    const { io } = this
    const { reader } = this.scan
    if (reader.version > 0) io.print(`[info] RDB version ${reader.version}`)
    io.print(`[info] ${this.keys} keys read`)
    io.print(`[info] ${this.expires} expires`)
    io.print(`[info] ${this.expired} already expired`)
    if (this.functions > 0) io.print(`[info] ${this.functions} function libraries`)
    if (this.emptyKeys > 0) io.print(`[info] ${this.emptyKeys} keys without elements, which are skipped`)
    if (reader.timedFields > 0) io.print(`[info] ${reader.timedFields} hash fields with an expire time`)
  }
}
