import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const LIMIT_MS = 20_000

/** Runs an example as users do (the pinned Node is the one that runs the tests) and gives its lines. */
function run(name: string): { lines: string[]; status: number | null; stderr: string } {
  const { stdout, stderr, status } = spawnSync(process.execPath, [`examples/${name}/main.ts`], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: LIMIT_MS,
  })
  return { lines: stdout.split('\n').map((line) => line.replace(/^ *\d+\.\d\ds {2}/, '').trim()), status, stderr }
}

/** The lines between a title and the next one. */
function section(lines: readonly string[], title: string): string[] {
  const from = lines.findIndex((line) => line.startsWith('== ') && line.includes(title))
  const length = lines.slice(from + 1).findIndex((line) => line.startsWith('== '))
  return lines.slice(from + 1, length < 0 ? lines.length : from + 1 + length).filter((line) => line !== '')
}

test('the example of jobs shows each kind and ends by itself', { timeout: LIMIT_MS + 5000 }, () => {
  const { lines, status, stderr } = run('jobs')
  expect(stderr).toBe('')
  expect(status).toBe(0)
  expect(section(lines, 'A job:')).toEqual(['welcome: to ada@example.org', 'result: sent to ada@example.org'])
  expect(section(lines, 'delayed')).toContain('reminder: to bob@example.org')
  expect(section(lines, 'Priorities')).toEqual([
    'alarm: to now@example.org',
    'invoice: to soon@example.org',
    'report: to later@example.org',
  ])
  expect(section(lines, 'tried again')).toEqual([
    'attempt 1 of flaky: the mail server does not answer',
    'attempt 2 of flaky: the mail server does not answer',
    'flaky: to cleo@example.org',
    'result: sent to cleo@example.org',
  ])
  expect(section(lines, 'job scheduler')).toEqual(Array.from({ length: 3 }, () => 'digest: to all@example.org'))
  expect(section(lines, 'A flow')).toEqual([
    'newsletter runs after its children and sees: body rendered, footer rendered, header rendered',
    'newsletter: to readers@example.org',
  ])
  expect(section(lines, 'rate limit')).toContain('six took about a second or more, as the limit says')
  expect(section(lines, 'What is left')).toEqual(['mail: 10 completed, 0 failed, 0 waiting, 0 delayed', 'done'])
})

test(
  'the example of event sourcing bills each order once and rebuilds its read model',
  { timeout: LIMIT_MS + 5000 },
  () => {
    const { lines, status, stderr } = run('event-sourcing')
    expect(stderr).toBe('')
    expect(status).toBe(0)
    expect(section(lines, 'appended').at(-1)).toBe('The stream has 7 events')
    const billing = section(lines, 'Group billing')
    expect(billing).toContain('ben takes "o1 paid" and dies before billing it')
    expect(billing).toContain('anna takes over "o1 paid"')
    expect(billing.slice(-2)).toEqual(['billed: o1, o2, o3', 'billing has 0 pending events'])
    const model = ['orders: o1 paid, o2 paid, o3 refunded', 'revenue: cake 8, tea 5']
    expect(section(lines, 'Group projection')).toEqual(['projected 7 events', ...model])
    expect(section(lines, 'Replay')).toEqual([
      'read model deleted: 0 keys left',
      'replayed 7 events',
      ...model,
      'The rebuilt read model is the same',
    ])
  },
)
