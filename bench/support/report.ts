/** What every bench returns, and how it is shown: tables that are Markdown and line up on a terminal too. */
import type { Panel } from './plot.ts'

export interface BenchOptions {
  /** Tiny sizes: whether it works, not how fast it is. */
  readonly isQuick: boolean
  /** Rounds that count; null: what the bench finds right. */
  readonly rounds: number | null
  /** Only cases with one of these words in their name; empty: all. */
  readonly only: readonly string[]
  /** Every combination of settings, instead of one that differs from the usual at a time. */
  readonly isMatrix: boolean
}

/** One file of bench/ that `npm run bench` knows. */
export interface Bench {
  readonly name: string
  /** For the list of benches, with how long it takes. */
  readonly summary: string
  /** Programs that it needs in PATH. */
  readonly programs: readonly string[]
  run(options: BenchOptions): Promise<Report>
}

export interface Report {
  /** What was done, in a sentence or two: sizes, rounds. */
  readonly method: string
  readonly tables: readonly Table[]
  readonly goals: readonly Goal[]
  readonly plots: readonly Plot[]
}

export interface Table {
  readonly caption: string
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
  /** On the terminal and in the JSON file, but not in docs/PERFORMANCE.md. */
  readonly isDetail: boolean
}

export interface Column {
  readonly title: string
  /** Decimals of its numbers. */
  readonly digits: number
}

/** null: not measured. */
export type Cell = string | number | null

/** A figure that the project has set itself. */
export interface Goal {
  readonly what: string
  readonly atLeast?: number
  readonly atMost?: number
  readonly figure: number
}

export interface Plot {
  /** Name of the file, without `.svg`. */
  readonly name: string
  readonly title: string
  readonly panels: readonly Panel[]
}

/** A column of numbers. */
export function column(title: string, digits: number): Column {
  return { title, digits }
}

/** A table that the docs show. */
export function table(caption: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]): Table {
  return { caption, columns, rows, isDetail: false }
}

/** A table that only the terminal and the JSON file show. */
export function detailTable(caption: string, columns: readonly Column[], rows: readonly (readonly Cell[])[]): Table {
  return { caption, columns, rows, isDetail: true }
}

export function isWanted(name: string, { only }: BenchOptions): boolean {
  return only.length === 0 || only.some((word) => name.toLowerCase().includes(word.toLowerCase()))
}

export function isReached({ atLeast, atMost, figure }: Goal): boolean {
  return (atLeast === undefined || figure >= atLeast) && (atMost === undefined || figure <= atMost)
}

export function goalsTable(goals: readonly Goal[]): Table {
  const rows = goals.map((goal) => {
    const bound = goal.atLeast === undefined ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`
    return [goal.what, bound, goal.figure, isReached(goal) ? 'yes' : 'no']
  })
  return table('Goals', [column('what', 0), column('goal', 0), column('measured', 2), column('reached', 0)], rows)
}

export function markdown({ columns, rows }: Table): string {
  const cells = rows.map((row) => row.map((cell, i) => text(cell, columns[i]?.digits ?? 0)))
  const widths = columns.map(({ title }, i) => Math.max(title.length, 3, ...cells.map((row) => row[i]?.length ?? 0)))
  const isNumber = columns.map((_, i) => i > 0 && rows.some((row) => typeof row[i] === 'number'))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(' | ')} |`
  const rule = widths.map((width, i) => (isNumber[i] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)))
  return [line(columns.map(({ title }) => title)), line(rule), ...cells.map(line)].join('\n')
}

/** Everything that a report says, for the terminal. */
export function reportText({ method, tables, goals }: Report): string {
  const shown = goals.length === 0 ? tables : [...tables, goalsTable(goals)]
  return [method, ...shown.map((one) => `${one.caption}\n\n${markdown(one)}`)].join('\n\n')
}

function text(cell: Cell, digits: number): string {
  if (cell === null || (typeof cell === 'number' && !Number.isFinite(cell))) return '–'
  if (typeof cell === 'string') return cell
  return cell.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
