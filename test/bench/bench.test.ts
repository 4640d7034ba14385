/** Every bench runs with tiny sizes and says what it should; figures are not looked at. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { LatencyHistogram } from '../../bench/support/numbers.ts'
import { chartSvg } from '../../bench/support/plot.ts'
import { sectionText, withSection } from '../../bench/support/publish.ts'
import { parseBenchmark } from '../../bench/support/redis-benchmark.ts'
import { column, markdown, type Report, table } from '../../bench/support/report.ts'
import { hasRedisServer, temporaryDirectory } from '../support/server-process.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const LIMIT_MS = 120_000

/** Runs a bench. Resolves to its result file. */
async function quick(...args: readonly string[]): Promise<Report> {
  const directory = temporaryDirectory()
  try {
    const all = [join(ROOT, 'bench/run.ts'), ...args, '--quick', '--results', directory]
    await run(process.execPath, all, { timeout: LIMIT_MS })
    return JSON.parse(readFileSync(join(directory, readdirSync(directory)[0]!), 'utf8')) as Report
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function rowNames({ tables }: Report): (string | number | null)[][] {
  return tables.map(({ rows }) => rows.map(([name]) => name!))
}

describe.skipIf(!hasRedisServer)('npm run bench', { timeout: LIMIT_MS }, () => {
  test(
    'measures what redis-benchmark has not: group reads, acknowledgements, fan-out',
    { timeout: LIMIT_MS },
    async () => {
      const report = await quick('resp', '--only', 'set,xreadgroup,xack,publish')
      expect(rowNames(report)[1]).toEqual(['SET', 'HSET', 'MSET', 'XREADGROUP', 'XACK', 'PUBLISH_100'])
    },
  )

  test('draws throughput by depth', async () => {
    const report = await quick('depth', '--only', 'get')
    expect(report.plots[0]?.panels[0]?.series.map(({ points }) => points.map(([depth]) => depth))).toEqual([
      [1, 16],
      [1, 16],
    ])
  })

  test.each([
    ['streams', 6],
    ['jobs', 3],
    ['in-process', 4],
    ['pauses', 6],
    ['start', 4],
    ['load', 3],
    ['fan-out', 1],
    ['idle-sockets', 3],
  ])('%s has a table of %i rows', async (name, count) => {
    const report = await quick(name)
    expect(report.tables[0]?.rows.length).toBe(count)
  })

  test('of memory, stalls, scripts, HTTP and eviction runs a part of each', async () => {
    expect(rowNames(await quick('memory', '--only', 'stream'))[0]).toEqual(['1,000 entries of a stream'])
    expect(rowNames(await quick('stalls', '--only', 'KEYS *'))[0]).toEqual(['KEYS * of 2000'])
    expect(rowNames(await quick('scripting', '--only', 'pcall'))[0]).toEqual(['pcall, error', 'geometric mean'])
    expect(rowNames(await quick('http', '--only', 'one SET'))[0]).toEqual(['Millrace POST /pipeline, one SET'])
    expect(rowNames(await quick('eviction', '--only', 'allkeys-lru'))[0]).toEqual(['allkeys-lru'])
  })
})

describe('npm run bench', { timeout: LIMIT_MS }, () => {
  test('lists its benches when it does not know one', async () => {
    const failure = run(process.execPath, [join(ROOT, 'bench/run.ts'), 'nothing'])
    await expect(failure).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(/there are:\n {2}resp/) })
  })

  test('says which programs it misses', async () => {
    const failure = run(process.execPath, [join(ROOT, 'bench/run.ts'), 'resp'], { env: { PATH: '/nowhere' } })
    await expect(failure).rejects.toMatchObject({
      code: 1,
      stderr:
        'redis-server and redis-benchmark must be in PATH (Debian, Ubuntu: apt install redis-server redis-tools)\n',
    })
  })

  test('publishes nothing that was not measured in full', async () => {
    const failure = run(process.execPath, [join(ROOT, 'bench/run.ts'), 'start', '--quick', '--publish'])
    await expect(failure).rejects.toMatchObject({ code: 1, stderr: 'Only whole runs are published\n' })
  })

  test('has a place for each bench in docs/PERFORMANCE.md', () => {
    const page = readFileSync(join(ROOT, 'docs/PERFORMANCE.md'), 'utf8')
    const names = [...readFileSync(join(ROOT, 'bench/run.ts'), 'utf8').matchAll(/^ {2}'?([\w-]+)'?: async \(\)/gm)]
    expect(names.length).toBeGreaterThan(12)
    for (const [, name] of names)
      expect(withSection(page, name!, 'figures')).toContain(`<!-- bench ${name} -->\nfigures\n`)
  })
})

describe('a report', () => {
  const report: Report = {
    method: 'One round.',
    tables: [
      table(
        'Rates',
        [column('test', 0), column('ratio', 2)],
        [
          ['SET', 1.234],
          ['GET', null],
        ],
      ),
    ],
    goals: [{ what: 'ratio', atLeast: 1.2, figure: 1.234 }],
    plots: [{ name: 'rates', title: 'Rates', panels: [] }],
  }

  test('has numbers on the right and a dash for what was not measured', () => {
    expect(markdown(report.tables[0]!)).toBe(
      ['| test | ratio |', '| ---- | ----: |', '| SET  |  1.23 |', '| GET  |     – |'].join('\n'),
    )
  })

  test('becomes a part of the page with its goals and plots, and replaces the one before', () => {
    const run = {
      bench: 'resp',
      machine: '4 cores',
      startedAt: '2026-01-02T03:04:05Z',
      seconds: 1,
      options: { isQuick: false, rounds: null, only: [], isMatrix: false },
      report,
    }
    const section = sectionText(run)
    expect(section).toContain('| ratio | ≥ 1.2 |     1.23 | yes     |')
    expect(section).toContain('![Rates](performance/rates.svg)')
    const page = withSection('a\n<!-- bench resp -->\nold\n<!-- end resp -->\nb', 'resp', section)
    expect(page).toBe(`a\n<!-- bench resp -->\n${section}\n<!-- end resp -->\nb`)
    expect(() => withSection(page, 'depth', section)).toThrow('no place for depth')
  })
})

describe('figures', () => {
  test('of redis-benchmark are read with the percentile that --csv lacks', () => {
    const output = [
      'Latency by percentile distribution:',
      '0.000% <= 0.183 milliseconds (cumulative count 1)',
      '50.000% <= 0.679 milliseconds (cumulative count 25310)',
      '99.805% <= 6.623 milliseconds (cumulative count 49903)',
      '99.902% <= 8.615 milliseconds (cumulative count 49952)',
      '100.000% <= 50.975 milliseconds (cumulative count 50000)',
      '',
      'Cumulative distribution of latencies:',
      '99.900% <= 8.103 milliseconds (cumulative count 49950)',
      '',
      'Summary:',
      '  throughput summary: 41493.77 requests per second',
      '  latency summary (msec):',
      '          avg       min       p50       p95       p99       max',
      '        0.788     0.176     0.679     1.247     2.503    50.975',
    ].join('\n')
    expect(parseBenchmark(output)).toEqual({
      rate: 41493.77,
      latency: { p50: 0.679, p99: 2.503, p999: 8.615, longest: 50.975 },
    })
    expect(() => parseBenchmark('Could not connect')).toThrow('Cannot read the output')
  })

  test('of a histogram are the upper ends of steps, and the longest exactly', () => {
    const histogram = new LatencyHistogram()
    for (let us = 0; us < 1000; us++) histogram.add(us)
    histogram.add(3_456_789)
    expect(histogram.latency()).toEqual({ p50: 0.51, p99: 1, p999: 1, longest: 3456.789 })
  })
})

describe('a plot', () => {
  test('puts the largest point at the top and marks powers of two', () => {
    const svg = chartSvg('Rates', [
      {
        title: 'GET',
        xLabel: 'depth',
        yLabel: 'requests/s',
        x: 'log2',
        y: 'linear',
        series: [
          {
            name: 'A & B',
            points: [
              [1, 0],
              [4, 100_000],
            ],
          },
        ],
      },
    ])
    expect(svg).toContain('<path d="M66 310 L386 102"')
    expect(svg).toContain('>100 k</text>')
    for (const depth of [1, 2, 4]) expect(svg).toContain(`text-anchor="middle">${depth}</text>`)
    expect(svg).toContain('>A &amp; B</text>')
  })
})
