/**
 * `check-aof [--fix [--yes]] [--truncate-to-timestamp SECONDS] FILE`: whether a server can load an append-only file.
 *
 * FILE is a manifest, or a single file, whose commands may stand behind an RDB snapshot. What can be loaded ends where
 * something is wrong; a transaction counts from its EXEC on. With --fix the rest is cut off, after a copy of the file was
 * made durable beside it, and only from the last file of the log: in others it would leave a gap in the middle. While it
 * changes something the log is locked, so no server of ours writes to it. Damage that checksums show is no torn end: that is
 * cut off only by who was asked.
 * Lines that scripts look for are those of redis-check-aof. Source: Valkey 7.2 src/valkey-check-aof.c.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { systemErrorText } from '../config/system-error.ts'
import { LogLockedError, lockLog } from '../persistence/lock.ts'
import { logPath } from '../persistence/manifest.ts'
import { type AofExtent, ExtentEnd, readExtent } from './aof-extent.ts'
import { scanRdb } from './check-rdb.ts'
import { type DataFile, FileKind, withDataFile } from './data-file.ts'
import { readExistingManifest } from './existing-manifest.ts'
import { keepCopy } from './keep-copy.ts'
import { shownName } from './shown-name.ts'
import { type Tool, ToolError, type ToolIo, UsageError } from './tool.ts'

export const checkAof: Tool = {
  usage: `Usage: millrace check-aof [--fix [--yes]] [--truncate-to-timestamp SECONDS] FILE

Says whether FILE can be loaded: the manifest of an append-only file, or a single file.

  --fix                            cut off what cannot be loaded at the end; asks before it does
  --yes                            with --fix: does not ask, and cuts off nothing but a torn end
  --truncate-to-timestamp SECONDS  cut off what was written after this time (Unix time;
                                   the file needs the time stamps of aof-timestamp-enabled)

Before something is cut off a copy is kept beside the file, as FILE.bak-TIME.
Exit code: 0 when the file can be loaded, 1 when not.
`,
  run: runCheckAof,
}

interface Options {
  readonly path: string
  readonly fixes: boolean
  readonly asks: boolean
  /** In seconds; null without. */
  readonly untilTimestamp: number | null
}

async function runCheckAof(args: readonly string[], io: ToolIo): Promise<number> {
  const options = parseOptions(args)
  const check = new AofCheck(options, io)
  const isManifest = withDataFile(options.path, ({ kind }) => kind === FileKind.Manifest)
  const unlock = options.fixes || options.untilTimestamp !== null ? lock(options.path) : () => {}
  try {
    if (isManifest) await check.multiPart()
    else await check.single()
  } finally {
    unlock()
  }
  return 0
}

function parseOptions(args: readonly string[]): Options {
  let path: string | null = null
  let fixes = false
  let asks = true
  let untilTimestamp: number | null = null
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '--fix') fixes = true
    else if (arg === '--yes') asks = false
    else if (arg === '--truncate-to-timestamp') {
      const text = args[++i] ?? ''
      if (!/^[0-9]{1,15}$/.test(text)) throw new UsageError(`Expected a Unix time in seconds, got '${text}'`)
      untilTimestamp = Number(text)
    } else if (arg.startsWith('--')) throw new UsageError(`Unknown option ${arg}`)
    else if (path === null) path = arg
    else throw new UsageError('Expected one file')
  }
  if (path === null) throw new UsageError('Expected a file')
  if (!fixes && !asks) throw new UsageError('--yes needs --fix')
  if (fixes && untilTimestamp !== null) throw new UsageError('Use either --fix or --truncate-to-timestamp')
  return { path, fixes, asks, untilTimestamp }
}

/** Keeps servers from the log that a file belongs to. Returns the function that ends it. @throws ToolError */
function lock(path: string): () => void {
  const name = basename(path).replace(/\.manifest$|\.\d+\.(?:base|incr)\.(?:aof|rdb)$/, '')
  try {
    return lockLog(join(realpathSync(dirname(path)), `${name}.lock`))
  } catch (error) {
    if (error instanceof LogLockedError) throw new ToolError(error.message)
    throw new ToolError(`Cannot lock the append-only file ${path}: ${systemErrorText(error)}`)
  }
}

/** A file of the log. */
interface Part {
  readonly path: string
  /** As it is called in messages. */
  readonly name: string
  readonly role: string
  readonly isLast: boolean
}

class AofCheck {
  private readonly options: Options
  private readonly io: ToolIo

  constructor(options: Options, io: ToolIo) {
    this.options = options
    this.io = io
  }

  async single(): Promise<void> {
    this.io.print('Start checking Old-Style AOF')
    await this.check({ path: this.options.path, name: this.options.path, role: 'AOF', isLast: true })
  }

  async multiPart(): Promise<void> {
    const { path } = this.options
    this.io.print('Start checking Multi Part AOF')
    const { base, incremental } = readExistingManifest(path)
    const names = (base === null ? incremental : [base, ...incremental]).map(({ name }) => name)
    // Behind it there may be an empty one: a rewrite had begun.
    const isLast = (name: string): boolean =>
      names.slice(names.indexOf(name) + 1).every((later) => isEmpty(logPath(dirname(path), later)))
    const part = (name: string, role: string): Part => ({
      path: logPath(dirname(path), name),
      name: shownName(name),
      role,
      isLast: isLast(name),
    })
    if (base !== null) {
      const file = part(base.name, 'BASE AOF')
      const isRdb = withDataFile(file.path, ({ kind }) => kind === FileKind.Rdb)
      this.io.print(`Start to check BASE AOF (${isRdb ? 'RDB' : 'RESP'} format).`)
      await this.check(file)
    }
    if (incremental.length > 0) this.io.print('Start to check INCR files.')
    for (const { name } of incremental) await this.check(part(name, 'INCR AOF'))
    this.io.print('All AOF files and manifest are valid')
  }

  /** Checks a file and cuts it off where that is wanted. @throws ToolError when it cannot be loaded as it is then */
  private async check(part: Part): Promise<void> {
    const { io } = this
    const { untilTimestamp } = this.options
    const extent = withDataFile(part.path, (file) => this.extentOf(file, part))
    if (extent === null) {
      if (part.role === 'BASE AOF' && part.name.endsWith('.base.rdb'))
        throw new ToolError(`${part.role} ${part.name} is empty: expected an RDB file`)
      io.print(`${part.role} ${part.name} is empty`)
      return
    }
    if (extent.end === ExtentEnd.TooLate) {
      this.checkTruncation(part, extent.validTo)
      this.cutOff(part, extent.validTo)
      io.print(`Successfully truncated AOF ${part.name} to timestamp ${untilTimestamp}`)
      return
    }
    if (extent.problem !== null) io.print(extent.problem)
    const isWhole = extent.end === ExtentEnd.Whole
    if (isWhole && untilTimestamp !== null)
      io.print(`Nothing in AOF ${part.name} is later than timestamp ${untilTimestamp}`)
    else this.printExtent(part, extent)
    if (isWhole) {
      io.print(`${part.role} ${part.name} is valid`)
      return
    }
    if (!this.options.fixes)
      throw new ToolError(`AOF ${part.name} is not valid. Use the --fix option to cut off what cannot be loaded`)
    if (!part.isLast) throw new ToolError(`Failed to truncate AOF ${part.name} because it is not the last file`)
    await this.confirm(part, extent)
    this.cutOff(part, extent.validTo)
    io.print(`Successfully truncated AOF ${part.name}`)
  }

  private printExtent(part: Part, { size, validTo, line }: AofExtent): void {
    this.io.print(
      `AOF analyzed: filename=${part.name}, size=${size}, ok_up_to=${validTo}, ok_up_to_line=${line}, diff=${size - validTo}`,
    )
  }

  /** Reads a file as far as it can be loaded. Null for an empty one. */
  private extentOf(file: DataFile, part: Part): AofExtent | null {
    if (file.kind === FileKind.Empty) return null
    let offset = 0
    if (file.kind === FileKind.Rdb) {
      const end = scanRdb(file, this.io)
      if (end === null) throw new ToolError(`The RDB preamble of AOF ${part.name} is not sane, aborting`)
      this.io.print('RDB preamble is OK, proceeding with AOF tail...')
      offset = end
    }
    return readExtent(file, offset, this.options.untilTimestamp)
  }

  private checkTruncation(part: Part, validTo: number): void {
    const { untilTimestamp } = this.options
    if (validTo === 0) throw new ToolError(`AOF ${part.name} has nothing before timestamp ${untilTimestamp}, aborting`)
    if (!part.isLast)
      throw new ToolError(
        `Failed to truncate AOF ${part.name} to timestamp ${untilTimestamp} at offset ${validTo} because it is not the last file`,
      )
  }

  private async confirm(part: Part, { size, validTo, end }: AofExtent): Promise<void> {
    if (!this.options.asks) {
      if (end === ExtentEnd.Torn) return
      throw new ToolError(
        `AOF ${part.name} is damaged before its end: --yes cuts off torn ends only, nothing was changed`,
      )
    }
    this.io.print(`AOF ${part.name} will be cut from ${size} to ${validTo} bytes: ${size - validTo} bytes are lost`)
    const answer = await this.io.ask('Continue? [y/N]: ')
    if (answer?.trim().toLowerCase().startsWith('y') !== true) throw new ToolError('Aborting: nothing was changed')
  }

  private cutOff(part: Part, size: number): void {
    const copy = keepCopy(part.path, this.io.now())
    this.io.print(`A copy of AOF ${part.name} is kept in ${copy}`)
    try {
      const fd = openSync(part.path, 'r+')
      try {
        ftruncateSync(fd, size)
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      throw new ToolError(`Failed to truncate AOF ${part.path}: ${systemErrorText(error)}`)
    }
  }
}

function isEmpty(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.size === 0
}
