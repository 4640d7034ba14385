/** A report as JSON: names are shown as in the text form (shown-name.ts), times in ms since 1970. */
import type { CommandReport } from './command-report.ts'
import type { PartReport } from './report.ts'
import { shownName } from './shown-name.ts'
import type { SnapshotReport } from './snapshot-report.ts'
import type { Amount, NamedAmount, TallyResult } from './tally.ts'

/** All parts, as one document. */
export function reportJson(parts: readonly PartReport[]): string {
  const content = parts.map(({ path, files, snapshot, commands, broken }) => ({
    path,
    files,
    snapshot: snapshot === null ? null : snapshotContent(snapshot),
    commands: commands === null ? null : commandContent(commands),
    broken,
  }))
  return JSON.stringify({ parts: content }, null, 2)
}

function snapshotContent(snapshot: SnapshotReport): object {
  return {
    rdbVersion: snapshot.version,
    aux: Object.fromEntries(snapshot.aux.map(([name, value]) => [shownName(name), shownName(value)])),
    functionLibraries: snapshot.functionLibraries,
    keys: snapshot.total.count,
    bytes: snapshot.total.bytes,
    memory: snapshot.total.memory,
    databases: tallyContent(snapshot.databases),
    types: tallyContent(snapshot.types),
    lifetimes: snapshot.lifetimes.map(rowContent),
    prefixes: tallyContent(snapshot.prefixes),
    biggest: snapshot.biggest.map((value) => ({
      ...value,
      key: shownName(value.key),
      expireMs: value.expireMs < 0 ? null : value.expireMs,
    })),
  }
}

function commandContent(commands: CommandReport): object {
  return {
    count: commands.total.count,
    bytes: commands.total.bytes,
    transactions: commands.transactions,
    firstTimestamp: commands.firstTimestamp,
    lastTimestamp: commands.lastTimestamp,
    commands: tallyContent(commands.commands),
    prefixes: tallyContent(commands.prefixes),
  }
}

function tallyContent({ top, other, isApproximate }: TallyResult): object {
  return { top: top.map(rowContent), other, isApproximate }
}

function rowContent({ name, count, bytes, memory }: NamedAmount): Amount & { name: string } {
  return { name: shownName(name), count, bytes, memory }
}
