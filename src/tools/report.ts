/**
 * `report [--json] [--depth N] [--top N] FILE|DIRECTORY`: what is in the files of a server, without a server.
 *
 * Of a snapshot: keys, bytes and memory by type, database, lifetime and prefix, and the biggest values. Of the commands of
 * an append-only file: calls and bytes by command and by prefix. A manifest is reported as one: its base, and the commands
 * of all its files. Memory does not grow with the number of keys, prefixes or commands (tally.ts).
 */
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { systemErrorText } from '../config/system-error.ts'
import { filesToLoad, logPath } from '../persistence/manifest.ts'
import { RdbError } from '../persistence/rdb/rdb-error.ts'
import { type Break, CommandCollector, type CommandReport } from './command-report.ts'
import { FileKind, withDataFile } from './data-file.ts'
import { readExistingManifest } from './existing-manifest.ts'
import { reportJson } from './report-json.ts'
import { reportText } from './report-text.ts'
import { type ReportOptions, reportSnapshot, type SnapshotReport } from './snapshot-report.ts'
import { type Tool, ToolError, type ToolIo, UsageError } from './tool.ts'

const DEPTH_MAX = 10
const LIMIT_MAX = 10_000

export const report: Tool = {
  usage: `Usage: millrace report [--json] [--depth N] [--top N] FILE|DIRECTORY

Says what is in an RDB file, in an append-only file (its manifest, or a single file), or in all of a data directory:
keys, bytes and memory by type, lifetime and key prefix; the biggest values; commands by name and key prefix.

  --depth N  a prefix ends behind its N-th ':' or '/' (1 to ${DEPTH_MAX}; default 1)
  --top N    rows of each list (1 to ${LIMIT_MAX}; default 20)
  --json     as JSON

Exit code: 0, or 1 when a file could not be read to its end.
`,
  run: runReport,
}

/** What was found in a file, or in the files of one manifest. */
export interface PartReport {
  readonly path: string
  /** Names and sizes of all files that belong to it. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[]
  readonly snapshot: SnapshotReport | null
  readonly commands: CommandReport | null
  /** Why it could not be read to its end; null when it could. */
  readonly broken: Break | null
}

interface Call {
  readonly path: string
  readonly isJson: boolean
  readonly options: ReportOptions
}

async function runReport(args: readonly string[], io: ToolIo): Promise<number> {
  const { path, isJson, options } = parseCall(args, io.now())
  const parts = partsOf(path).map((part) => reportPart(part, options))
  if (isJson) io.print(reportJson(parts))
  else for (const part of parts) for (const line of reportText(part)) io.print(line)
  return parts.some(({ broken }) => broken !== null) ? 1 : 0
}

function parseCall(args: readonly string[], nowMs: number): Call {
  let path: string | null = null
  let isJson = false
  let depth = 1
  let limit = 20
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === '--json') isJson = true
    else if (arg === '--depth') depth = parseNumber(arg, args[++i], DEPTH_MAX)
    else if (arg === '--top') limit = parseNumber(arg, args[++i], LIMIT_MAX)
    else if (arg.startsWith('--')) throw new UsageError(`Unknown option ${arg}`)
    else if (path === null) path = arg
    else throw new UsageError('Expected one file or directory')
  }
  if (path === null) throw new UsageError('Expected a file or a directory')
  return { path, isJson, options: { depth, limit, nowMs } }
}

function parseNumber(option: string, text: string | undefined, max: number): number {
  const value = text !== undefined && /^[0-9]{1,9}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > max) throw new UsageError(`Expected a number from 1 to ${max} behind ${option}`)
  return value
}

/** The files to report on: of a directory its RDB files, its manifests and those of its folders, and single logs. */
function partsOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    const parts = listFiles(path, /\.(?:rdb|manifest|aof)$/)
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) parts.push(...listFiles(join(path, entry.name), /\.manifest$/))
    // Files of a manifest are reported with it.
    const manifests = parts.filter((part) => part.endsWith('.manifest'))
    const owned = new Set(manifests.flatMap(filesOfManifest))
    const found = parts.filter((part) => !owned.has(part))
    if (found.length === 0) throw new ToolError(`Cannot report on ${path}: no .rdb, .aof or .manifest file in it`)
    return found
  } catch (error) {
    if (error instanceof ToolError) throw error
    throw new ToolError(`Cannot open ${path}: ${systemErrorText(error)}`)
  }
}

function listFiles(directory: string, pattern: RegExp): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && pattern.test(entry.name))
    .map((entry) => join(directory, entry.name))
    .sort()
}

function filesOfManifest(path: string): string[] {
  return filesToLoad(readExistingManifest(path)).map(({ name }) => logPath(dirname(path), name))
}

function reportPart(path: string, options: ReportOptions): PartReport {
  const isManifest = withDataFile(path, ({ kind }) => kind === FileKind.Manifest)
  const files: { name: string; bytes: number }[] = []
  const commands = new CommandCollector(options)
  let snapshot: SnapshotReport | null = null
  let hasCommands = false
  let broken: Break | null = null
  for (const part of isManifest ? filesOfManifest(path) : [path]) {
    withDataFile(part, (file) => {
      files.push({ name: basename(part), bytes: file.size })
      if (broken !== null) return
      let offset = 0
      try {
        if (file.kind === FileKind.Rdb) {
          const read = reportSnapshot(file, options)
          snapshot = read.report
          offset = read.end
        }
      } catch (error) {
        if (!(error instanceof RdbError)) throw error
        broken = { path: part, offset: error.offset, problem: error.message }
        return
      }
      if (offset === file.size) return
      hasCommands = true
      broken = commands.add(file, offset)
    })
  }
  return { path, files, snapshot, commands: hasCommands ? commands.result() : null, broken }
}
