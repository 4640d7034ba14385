/** A report as text for a terminal: tables with a column for each number. */
import type { CommandReport } from './command-report.ts'
import type { PartReport } from './report.ts'
import { shownName } from './shown-name.ts'
import type { SnapshotReport } from './snapshot-report.ts'
import type { Amount, NamedAmount, TallyResult } from './tally.ts'

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const
const NO_PREFIX = '(none)'

/** The lines of a part. */
export function reportText({ path, files, snapshot, commands, broken }: PartReport): string[] {
  const lines = [path, ...files.map(({ name, bytes }) => `  ${name}: ${size(bytes)}`), '']
  if (snapshot !== null) lines.push(...snapshotText(snapshot))
  if (commands !== null) lines.push(...commandText(commands))
  if (snapshot === null && commands === null && broken === null) lines.push('There is nothing in it.', '')
  if (broken !== null)
    lines.push(`${broken.path} cannot be read on from offset ${broken.offset}: ${broken.problem}`, '')
  return lines
}

function snapshotText(snapshot: SnapshotReport): string[] {
  const { version, aux, functionLibraries, total } = snapshot
  const written = aux.map(([name, value]) => `${shownName(name)} ${shownName(value)}`).join(', ')
  return [
    `Snapshot, RDB version ${version}${written === '' ? '' : ` (${written})`}`,
    `${total.count} keys, ${size(total.bytes)} in the file, ${size(total.memory)} of memory, ${functionLibraries} function libraries`,
    '',
    ...tallyText('type', snapshot.types, true),
    ...tallyText('database', snapshot.databases, true),
    ...tallyText('time to live', { top: snapshot.lifetimes, other: none(), isApproximate: false }, true),
    ...tallyText('key prefix', snapshot.prefixes, true),
    ...table(
      ['biggest values', 'db', 'type', 'length', 'in the file', 'memory'],
      snapshot.biggest.map(({ key, db, type, encoding, length, bytes, memory }) => [
        shownName(key),
        String(db),
        `${type} ${encoding}`,
        String(length),
        size(bytes),
        size(memory),
      ]),
    ),
  ]
}

function commandText(commands: CommandReport): string[] {
  const { total, transactions, firstTimestamp, lastTimestamp } = commands
  const times =
    firstTimestamp === null || lastTimestamp === null
      ? ''
      : `, written from ${timeText(firstTimestamp)} to ${timeText(lastTimestamp)}`
  return [
    `${total.count} commands, ${size(total.bytes)}, ${transactions} transactions${times}`,
    '',
    ...tallyText('command', commands.commands, false),
    ...tallyText('key prefix of commands', commands.prefixes, false),
  ]
}

function tallyText(title: string, { top, other, isApproximate }: TallyResult, hasMemory: boolean): string[] {
  const row = (name: string, { count, bytes, memory }: Amount): string[] => [
    name,
    String(count),
    size(bytes),
    ...(hasMemory ? [size(memory)] : []),
  ]
  const rows = top.map((amount: NamedAmount) => row(amount.name === '' ? NO_PREFIX : shownName(amount.name), amount))
  if (other.count > 0) rows.push(row('other', other))
  const lines = table([title, 'count', 'in the file', ...(hasMemory ? ['memory'] : [])], rows)
  if (isApproximate)
    lines.splice(-1, 0, '  (too many to tell all apart: each has at least this much, the rest is in "other")')
  return lines
}

/** Rows under their titles, the first column to the left, others to the right, and an empty line; [] without rows. */
function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const all = [titles, ...rows]
  const widths = titles.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  const lines = all.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  '),
  )
  return [...lines, '']
}

function size(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

/** Years beyond what a Date can hold are shown as the number they are. */
function timeText(seconds: number): string {
  const time = new Date(seconds * 1000)
  return Number.isNaN(time.getTime()) ? String(seconds) : time.toISOString().replace('.000Z', 'Z')
}

function none(): Amount {
  return { count: 0, bytes: 0, memory: 0 }
}
