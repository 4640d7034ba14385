/** Where the log goes, in which form, and from which level on. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ServerLog } from '../../src/observe/log.ts'

let directory = ''
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'log-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

function messages(file: string): string[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
}

describe('ServerLog', () => {
  test('writes JSON lines to the file, appends, and follows the level', () => {
    const file = join(directory, 'a.log')
    const target = { file, level: 'notice', isTerminal: true } as const
    const log = new ServerLog(target)
    log.verbose('not shown')
    log.notice('Ready to accept connections', { port: 6379 })
    log.setLevel('debug')
    log.debug('details')
    log.setLevel('nothing')
    log.warning('not shown either')
    new ServerLog(target).warning('again')
    expect(messages(file)).toEqual(['Ready to accept connections', 'details', 'again'])
    expect(JSON.parse(readFileSync(file, 'utf8').split('\n')[0] ?? '')).toMatchObject({ level: 30, port: 6379 })
  })

  test('opens a file again that was moved away', () => {
    const file = join(directory, 'b.log')
    const log = new ServerLog({ file, level: 'notice', isTerminal: false })
    log.notice('before')
    renameSync(file, `${file}.1`)
    log.reopen()
    log.notice('after')
    expect([messages(`${file}.1`), messages(file)]).toEqual([['before'], ['after']])
  })

  test('a file that cannot be opened is a configuration error', () => {
    const target = { file: join(directory, 'none', 'c.log'), level: 'notice', isTerminal: false } as const
    expect(() => new ServerLog(target)).toThrow("Can't open the log file: No such file or directory")
  })

  test('stdout gets JSON in a pipe and lines for people on a terminal', () => {
    const script = (isTerminal: boolean): string => `
      const { ServerLog } = await import(${JSON.stringify(new URL('../../src/observe/log.ts', import.meta.url).href)})
      new ServerLog({ file: '', level: 'notice', isTerminal: ${isTerminal} }).notice('Hello')
      process.exit(0)`
    const run = (isTerminal: boolean): string =>
      spawnSync('node', ['--input-type=module', '-e', script(isTerminal)], { encoding: 'utf8' }).stdout
    expect(JSON.parse(run(false))).toMatchObject({ level: 30, msg: 'Hello' })
    expect(run(true)).toMatch(/INFO.*Hello\n$/)
  })
})
