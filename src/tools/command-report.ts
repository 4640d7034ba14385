/** What is in the commands of an append-only file: calls and bytes by command and by prefix of the first key. */
import { commandFamilies } from '../commands/index.ts'
import { hasKeys, keyArguments } from '../commands/key-extraction.ts'
import { Registry } from '../commands/registry.ts'
import type { Args } from '../resp/args.ts'
import { AofItem, AofScanner } from './aof-scanner.ts'
import type { DataFile } from './data-file.ts'
import { keyPrefix } from './key-prefix.ts'
import type { ReportOptions } from './snapshot-report.ts'
import { type Amount, Tally, type TallyResult } from './tally.ts'

/** Arguments in which the first key is looked for. */
const KEPT_ARGUMENTS = 16
/** Longest name of a command that is told apart. */
const NAME_BYTES_MAX = 64
const TIMESTAMP = /^#TS:([0-9]{1,15})\r$/

export interface CommandReport {
  /** All commands, those of transactions and MULTI and EXEC included. */
  readonly total: Amount
  readonly transactions: number
  readonly commands: TallyResult
  /** Commands with a key, by its prefix. */
  readonly prefixes: TallyResult
  /** Unix times in seconds, from the time stamps in the file; null without. */
  readonly firstTimestamp: number | null
  readonly lastTimestamp: number | null
}

/** Where and why reading of a file had to end. */
export interface Break {
  readonly path: string
  readonly offset: number
  readonly problem: string
}

export class CommandCollector {
  private readonly options: ReportOptions
  private readonly registry = new Registry(commandFamilies)
  private readonly total: Amount = { count: 0, bytes: 0, memory: 0 }
  private transactions = 0
  private readonly commands = new Tally()
  private readonly prefixes = new Tally()
  private firstTimestamp: number | null = null
  private lastTimestamp: number | null = null

  constructor(options: ReportOptions) {
    this.options = options
  }

  /** Adds the commands of a file from `offset` on. Returns why it could not be read to its end, null when it could. */
  add({ fd, path, size }: DataFile, offset: number): Break | null {
    const scanner = new AofScanner({ fd, offset, size, keptArguments: KEPT_ARGUMENTS })
    for (;;) {
      const item = scanner.next()
      if (item === AofItem.End) return null
      if (item === AofItem.Broken) return { path, offset: scanner.problemOffset, problem: scanner.problem }
      if (item === AofItem.Annotation) this.addAnnotation(scanner.annotation)
      else this.addCommand(scanner)
    }
  }

  result(): CommandReport {
    const { limit } = this.options
    return {
      total: this.total,
      transactions: this.transactions,
      commands: this.commands.result(limit),
      prefixes: this.prefixes.result(limit),
      firstTimestamp: this.firstTimestamp,
      lastTimestamp: this.lastTimestamp,
    }
  }

  private addCommand({ args, start, offset }: AofScanner): void {
    const bytes = offset - start
    const name = args.text(0).slice(0, NAME_BYTES_MAX).toLowerCase()
    this.total.count++
    this.total.bytes += bytes
    if (name === 'exec') this.transactions++
    this.commands.add(name, bytes, 0)
    const key = this.firstKey(args)
    if (key === 0) return
    this.prefixes.add(keyPrefix(args.buffer, args.start(key), args.length(key), this.options.depth), bytes, 0)
  }

  /** Argument with the first key; 0 without. Of more arguments than are kept, the key is found if it is among those. */
  private firstKey(args: Args): number {
    const found = this.registry.find(args)
    if (found === null) return 0
    const command = (args.count > 1 ? found.subcommands?.get(args.text(1).toLowerCase()) : null) ?? found
    if (command.soleKey > 0) return command.soleKey < args.count ? command.soleKey : 0
    return hasKeys(command) ? (keyArguments(command, args)?.[0]?.index ?? 0) : 0
  }

  private addAnnotation(annotation: string): void {
    const match = TIMESTAMP.exec(annotation)
    if (match === null) return
    this.lastTimestamp = Number(match[1])
    this.firstTimestamp ??= this.lastTimestamp
  }
}
