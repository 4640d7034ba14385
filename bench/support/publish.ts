/**
 * Results as files. Each run writes `bench/results/<name>.json`, which git ignores. A published one is written to
 * `bench/results/published/`, with its plots in `docs/performance/`, and takes its place in docs/PERFORMANCE.md between
 * `<!-- bench <name> -->` and `<!-- end <name> -->`.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chartSvg } from './plot.ts'
import { type BenchOptions, goalsTable, isReached, markdown, type Report } from './report.ts'
import { versionOf } from './servers.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface Run {
  readonly bench: string
  readonly machine: string
  readonly startedAt: string
  readonly seconds: number
  readonly options: BenchOptions
  readonly report: Report
}

/** The machine and the programs, in a line. */
export function machineText(): string {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? ''
  const redis = /v=([0-9.]+)/.exec(versionOf('redis-server') ?? '')?.[1] ?? 'not installed'
  const name = model === '' || model === 'unknown' ? '' : ` of ${model}`
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${processors.length} cores${name}, ${gigabytes} GB, Linux ${release()}, Node ${process.versions.node}, redis-server ${redis}`
}

/** Writes the figures. Returns the name of the file. */
export function writeResult(directory: string, run: Run): string {
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${run.bench}.json`)
  const { report, ...head } = run
  const goals = report.goals.map((goal) => ({ ...goal, isReached: isReached(goal) }))
  writeFileSync(file, `${JSON.stringify({ ...head, ...report, goals }, null, 1)}\n`)
  return file
}

/** Where results go that nobody publishes. */
export const RESULTS: string = join(ROOT, 'bench', 'results')

/** Puts a run into the docs: figures, plots, and its part of docs/PERFORMANCE.md. @throws Error when the page has no place */
export function publish(run: Run): void {
  const page = join(ROOT, 'docs', 'PERFORMANCE.md')
  const text = withSection(readFileSync(page, 'utf8'), run.bench, sectionText(run))
  writeResult(join(RESULTS, 'published'), run)
  writePlots(join(ROOT, 'docs', 'performance'), run.report)
  writeFileSync(page, text)
}

export function writePlots(directory: string, { plots }: Report): void {
  mkdirSync(directory, { recursive: true })
  for (const { name, title, panels } of plots) writeFileSync(join(directory, `${name}.svg`), chartSvg(title, panels))
}

/** The page with the part of a bench replaced. */
export function withSection(page: string, bench: string, section: string): string {
  const [begin, end] = [`<!-- bench ${bench} -->`, `<!-- end ${bench} -->`]
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`The page has no place for ${bench}: ${begin} … ${end}`)
  return `${page.slice(0, from + begin.length)}\n${section}\n${page.slice(to)}`
}

/** What the page says of a run: tables without details, goals, plots. */
export function sectionText({ machine, startedAt, report }: Run): string {
  const shown = report.tables.filter((table) => !table.isDetail)
  const tables = report.goals.length === 0 ? shown : [...shown, goalsTable(report.goals)]
  return [
    `${report.method}`,
    ...tables.map((table) => `**${table.caption}**\n\n${markdown(table)}`),
    ...report.plots.map(({ name, title }) => `![${title}](performance/${name}.svg)`),
    `*${startedAt.slice(0, 10)}; ${machine}.*`,
  ].join('\n\n')
}
