/** The tool check-aof: what it says of good and damaged files, and what it changes. */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { checksumLineLength, checksumOf, writeChecksum } from '../../src/persistence/aof-annotations.ts'
import { lockLog } from '../../src/persistence/lock.ts'
import { encodeCommand } from '../support/resp-client.ts'
import { hasRedisServer, ServerProcess, temporaryDirectory } from '../support/server-process.ts'
import { run } from './run-tool.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const COPY = '.bak-20260304T050607Z'
const isRoot = process.getuid?.() === 0
let directory: string
let file: string

beforeEach(() => {
  directory = temporaryDirectory()
  file = join(directory, 'appendonly.aof')
})

afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

function command(...words: string[]): Buffer {
  return Buffer.from(encodeCommand(words))
}

function text(line: string): Buffer {
  return Buffer.from(line, 'latin1')
}

/** Commands with the checksum line that ends a batch. */
function batch(...parts: Buffer[]): Buffer {
  const bytes = Buffer.concat(parts)
  const line = Buffer.alloc(checksumLineLength(bytes.length))
  writeChecksum(line, 0, checksumOf(bytes, 0, bytes.length, 0), bytes.length)
  return Buffer.concat([bytes, line])
}

function write(...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  writeFileSync(file, content)
  return content
}

const SET = command('SET', 'foo', 'hello')

describe('a single file', () => {
  test('that is whole is valid, with its size and lines', async () => {
    const { length } = write(SET, text('#TS:1628217470\r\n'), command('MULTI'), SET, command('EXEC'), SET)
    const { code, output } = await run('check-aof', [file])
    expect(output.split('\n')).toEqual([
      'Start checking Old-Style AOF',
      `AOF analyzed: filename=${file}, size=${length}, ok_up_to=${length}, ok_up_to_line=29, diff=0`,
      `AOF ${file} is valid`,
    ])
    expect(code).toBe(0)
  })

  test('that is empty is no error', async () => {
    write()
    expect(await run('check-aof', [file])).toMatchObject({
      code: 0,
      output: expect.stringContaining(`AOF ${file} is empty`),
    })
  })

  const broken: readonly (readonly [name: string, tail: Buffer, problem: string, line: number])[] = [
    ['other bytes', text('!!!'), "offset 33: expected a command ('*') or an annotation ('#'), found '!'", 8],
    ['a zero byte', text('\0'), "offset 33: expected a command ('*') or an annotation ('#'), found 0x00", 8],
    ['no number of arguments', text('*\r\n'), 'offset 34: expected a number, found 0x0d', 8],
    ['a negative number of arguments', text('*-1\r\n'), "offset 34: expected a number, found '-'", 8],
    ['no arguments', text('*0\r\n'), 'offset 33: expected a command, found one without arguments', 9],
    ['too many arguments', text('*2147483648\r\n'), 'offset 33: expected a number up to 2147483647', 8],
    ['an endless number', text(`*${'1'.repeat(40)}\r\n`), 'offset 33: expected a number up to 2147483647', 8],
    ['a line end that is none', text('*1\rx$4\r\nPING\r\n'), "offset 36: expected the end of the line, found 'x'", 8],
    ['no argument', text('*1\r\n+4\r\nPING\r\n'), "offset 37: expected '$', found '+'", 9],
    [
      'a long argument',
      text('*1\r\n$5\r\nPING\r\nxy'),
      "offset 46: expected the line end of an argument of 5 bytes, found 0x0a, 'x'",
      10,
    ],
    [
      'an argument beyond the end',
      text('*1\r\n$9007199254740991\r\nPING\r\n'),
      'offset 56: expected 9007199254740992 bytes of an argument, but the file has 6',
      10,
    ],
    ['a half command', text('*2\r\n$3\r\nGET\r\n'), "offset 46: expected '$', but the file ends", 11],
    ['half a number', text('*2\r\n$3'), 'offset 37: the file ends in the middle of a number', 9],
    ['half an annotation', text('#TS:16'), 'offset 33: the file ends in the middle of an annotation', 8],
    [
      'an endless annotation',
      text(`#${'x'.repeat(2000)}\n`),
      'offset 33: expected the end of an annotation within 1024 bytes',
      8,
    ],
    ['EXEC without MULTI', command('EXEC'), 'offset 33: found EXEC without MULTI', 11],
    [
      'MULTI without EXEC',
      Buffer.concat([command('multi'), SET]),
      'offset 81: expected the EXEC of the MULTI at offset 33',
      18,
    ],
    [
      'MULTI within MULTI',
      Buffer.concat([command('MULTI'), command('MULTI')]),
      'offset 48: expected the EXEC of the MULTI at offset 33, found MULTI',
      14,
    ],
  ]
  test.each(
    broken,
  )('with %s behind a command is not valid: offset and what was expected are told', async (_name, tail, problem, line) => {
    const content = write(SET, tail)
    const { code, output } = await run('check-aof', [file])
    expect(output.split('\n').slice(1)).toEqual([
      problem,
      `AOF analyzed: filename=${file}, size=${content.length}, ok_up_to=33, ok_up_to_line=${line}, diff=${tail.length}`,
      `AOF ${file} is not valid. Use the --fix option to cut off what cannot be loaded`,
    ])
    expect(code).toBe(1)
    expect(readFileSync(file)).toEqual(content)
  })

  test('is read through arguments longer than what is read at a time', async () => {
    write(SET, command('SET', 'big', 'x'.repeat(3 * 1024 * 1024)), SET, text('*'))
    const { output } = await run('check-aof', [file])
    expect(output).toContain(`ok_up_to=${33 + 3 * 1024 * 1024 + 34 + 33},`)
  })

  test.skipIf(!hasRedisServer)('cut at each byte is judged as by redis-check-aof', async () => {
    const content = write(SET, command('MULTI'), command('DEL', 'a', 'b'), command('EXEC'), command('SET', 'k', ''))
    for (let size = 1; size <= content.length; size++) {
      writeFileSync(file, content.subarray(0, size))
      const theirs = spawnSync('redis-check-aof', [file], { encoding: 'latin1', timeout: 5000 })
      const ours = await run('check-aof', [file])
      const analyzed = /AOF analyzed: .*/
      expect([size, analyzed.exec(ours.output)?.[0], ours.code]).toEqual([
        size,
        analyzed.exec(theirs.stdout)?.[0],
        theirs.status,
      ])
    }
  })
})

describe('checksums', () => {
  test('a changed bit anywhere is found, and what stands before its batch is valid', async () => {
    const first = batch(SET, command('INCR', 'n'))
    const second = batch(command('MULTI'), SET, command('EXEC'))
    const content = Buffer.concat([first, second, batch(SET)])
    for (let at = first.length; at < first.length + second.length; at++) {
      const damaged = Buffer.from(content)
      damaged[at] = damaged[at]! ^ 4
      writeFileSync(file, damaged)
      const { code, output } = await run('check-aof', [file])
      // A checksum line that has become a comment says nothing; that of the next batch stands for its own bytes.
      if (code === 0 && at >= first.length + 63) continue
      expect([at, code]).toEqual([at, 1])
      const validTo = Number(/ok_up_to=(\d+)/.exec(output)?.[1])
      expect(validTo).toBeGreaterThanOrEqual(first.length)
      expect(validTo).toBeLessThanOrEqual(at)
    }
  })

  test('what they cover is named, with its line', async () => {
    const first = batch(SET)
    const damaged = Buffer.concat([first, batch(SET, SET), batch(SET)])
    damaged[first.length + 33 + 28] = 0x78
    writeFileSync(file, damaged)
    const { code, output } = await run('check-aof', [file])
    expect(code).toBe(1)
    expect(output).toContain(
      `offset ${first.length}: the 66 bytes up to offset ${first.length + 66} are not those that were written: their checksum is wrong`,
    )
    expect(output).toContain(`ok_up_to=${first.length}, ok_up_to_line=9,`)
  })

  test('bytes that are gone are found', async () => {
    write(batch(SET), batch(SET, SET).subarray(33))
    const { code, output } = await run('check-aof', [file])
    expect(code).toBe(1)
    expect(output).toContain(`offset 53: expected 66 bytes before the checksum line at offset 86, found 33`)
  })

  test('lines behind commands without checksums stand for what they name', async () => {
    const whole = Buffer.concat([SET, SET, batch(SET)])
    writeFileSync(file, whole)
    expect((await run('check-aof', [file])).code).toBe(0)
    whole[66 + 28] = 0x78
    writeFileSync(file, whole)
    expect(await run('check-aof', [file])).toMatchObject({
      code: 1,
      output: expect.stringContaining('offset 66: the 33 bytes up to offset 99 are not those that were written'),
    })
  })

  test('of any number in a value that is cut off are looked at in time that grows with the file only', async () => {
    const lines = '#CRC32:00000000:2000000\r\n'.repeat(20_000)
    const starts = '#CRC32:'.repeat(500_000)
    for (const value of [`${'x'.repeat(2_000_000)}\r\n${lines}`, starts]) {
      write(SET, text(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$99999999\r\n${value}`))
      const { output } = await run('check-aof', [file])
      expect(output).toContain('ok_up_to=33,')
      expect(output).not.toContain('no torn end but damage')
    }
  })

  test('tell damage from a torn end, which alone is cut off without a question', async () => {
    const damaged = Buffer.concat([batch(SET), SET.subarray(0, 20), batch(SET)])
    writeFileSync(file, damaged)
    const { code, output, questions } = await run('check-aof', ['--fix', '--yes', file])
    expect(code).toBe(1)
    expect(output).toContain('offset 106: what was written up to here is whole, so this is no torn end but damage')
    expect(output).toContain('--yes cuts off torn ends only, nothing was changed')
    expect(questions).toEqual([])
    expect(readFileSync(file)).toEqual(damaged)
    expect(await run('check-aof', ['--fix', file], ['y'])).toMatchObject({ code: 0 })
    expect(readFileSync(file)).toEqual(batch(SET))
  })
})

describe('--fix', () => {
  test('cuts off a torn end after a copy was made, and the file is valid', async () => {
    const content = write(SET, command('MULTI'), SET)
    const { code, output, questions } = await run('check-aof', ['--fix', file], ['y'])
    expect(code).toBe(0)
    expect(questions).toEqual(['Continue? [y/N]: '])
    expect(output).toContain(`AOF ${file} will be cut from 81 to 33 bytes: 48 bytes are lost`)
    expect(output).toContain(`A copy of AOF ${file} is kept in ${file}${COPY}`)
    expect(output).toContain(`Successfully truncated AOF ${file}`)
    expect(readFileSync(`${file}${COPY}`)).toEqual(content)
    expect(readFileSync(file)).toEqual(SET)
    expect(readdirSync(directory).sort()).toEqual(['appendonly.aof', `appendonly.aof${COPY}`])
    expect((await run('check-aof', [file])).code).toBe(0)
  })

  test.each([['n'], [''], [null]])('changes nothing when the answer is %j', async (answer) => {
    const content = write(SET, text('*'))
    const { code, output } = await run('check-aof', ['--fix', file], answer === null ? [] : [answer])
    expect(code).toBe(1)
    expect(output).toContain('Aborting: nothing was changed')
    expect(readFileSync(file)).toEqual(content)
    expect(readdirSync(directory)).toEqual(['appendonly.aof'])
  })

  test('does not touch a file that is valid', async () => {
    const content = write(SET)
    expect(await run('check-aof', ['--fix', file])).toMatchObject({ code: 0, questions: [] })
    expect(readFileSync(file)).toEqual(content)
    expect(readdirSync(directory)).toEqual(['appendonly.aof'])
  })

  test('--yes does not ask', async () => {
    write(SET, text('*'))
    expect(await run('check-aof', ['--fix', '--yes', file])).toMatchObject({ code: 0, questions: [] })
    expect(readFileSync(file)).toEqual(SET)
  })

  test('keeps each copy: a second one of the same second has another name', async () => {
    const first = write(SET, text('*'))
    await run('check-aof', ['--fix', '--yes', file])
    const second = write(SET, text('*1'))
    await run('check-aof', ['--fix', '--yes', file])
    expect(readFileSync(`${file}${COPY}`)).toEqual(first)
    expect(readFileSync(`${file}${COPY}-2`)).toEqual(second)
  })

  test.skipIf(isRoot)('changes nothing when no copy can be made', async () => {
    const content = write(SET, text('*'))
    mkdirSync(join(directory, 'x'))
    const inside = join(directory, 'x', 'a.aof')
    writeFileSync(inside, content)
    chmodSync(join(directory, 'x'), 0o500)
    expect(await run('check-aof', ['--fix', '--yes', inside])).toMatchObject({ code: 1 })
    expect(readFileSync(inside)).toEqual(content)
  })

  test('changes nothing when a hundred copies of this second are there', async () => {
    const content = write(SET, text('*'))
    writeFileSync(`${file}${COPY}`, '')
    for (let i = 2; i <= 100; i++) writeFileSync(`${file}${COPY}-${i}`, '')
    const { code, output } = await run('check-aof', ['--fix', '--yes', file])
    expect(code).toBe(1)
    expect(output).toContain('nothing was changed: there are 100 copies of 20260304T050607Z already')
    expect(readFileSync(file)).toEqual(content)
  })

  test('refuses a log that a server has open', async () => {
    const content = write(SET, text('*'))
    const unlock = lockLog(`${file}.lock`)
    try {
      const { code, output } = await run('check-aof', ['--fix', '--yes', file])
      expect(code).toBe(1)
      expect(output).toContain('it is in use by this process')
    } finally {
      unlock()
    }
    expect(readFileSync(file)).toEqual(content)
  })
})

describe('a manifest', () => {
  let manifest: string
  const part = (name: string): string => join(directory, name)

  beforeEach(() => {
    manifest = join(directory, 'appendonly.aof.manifest')
    writeFileSync(
      manifest,
      'file appendonly.aof.1.base.aof seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\nfile appendonly.aof.2.incr.aof seq 2 type i\n',
    )
    writeFileSync(part('appendonly.aof.1.base.aof'), SET)
    writeFileSync(part('appendonly.aof.1.incr.aof'), SET)
    writeFileSync(part('appendonly.aof.2.incr.aof'), SET)
  })

  test('whose RDB base is empty is not valid: it has lost what it held', async () => {
    writeFileSync(
      manifest,
      'file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n',
    )
    writeFileSync(part('appendonly.aof.1.base.rdb'), '')
    expect(await run('check-aof', [manifest])).toMatchObject({
      code: 1,
      output: expect.stringContaining('BASE AOF appendonly.aof.1.base.rdb is empty: expected an RDB file'),
    })
  })

  test('whose files are whole is valid', async () => {
    const { code, output } = await run('check-aof', [manifest])
    expect(output.split('\n')).toEqual([
      'Start checking Multi Part AOF',
      'Start to check BASE AOF (RESP format).',
      'AOF analyzed: filename=appendonly.aof.1.base.aof, size=33, ok_up_to=33, ok_up_to_line=8, diff=0',
      'BASE AOF appendonly.aof.1.base.aof is valid',
      'Start to check INCR files.',
      'AOF analyzed: filename=appendonly.aof.1.incr.aof, size=33, ok_up_to=33, ok_up_to_line=8, diff=0',
      'INCR AOF appendonly.aof.1.incr.aof is valid',
      'AOF analyzed: filename=appendonly.aof.2.incr.aof, size=33, ok_up_to=33, ok_up_to_line=8, diff=0',
      'INCR AOF appendonly.aof.2.incr.aof is valid',
      'All AOF files and manifest are valid',
    ])
    expect(code).toBe(0)
  })

  test('is known by its content too', async () => {
    const other = part('manifest.txt')
    writeFileSync(other, `# mine\n${readFileSync(manifest, 'latin1')}`)
    expect(await run('check-aof', [other])).toMatchObject({ code: 0, output: expect.stringContaining('Multi Part') })
  })

  test('lets its last file be fixed', async () => {
    writeFileSync(part('appendonly.aof.2.incr.aof'), Buffer.concat([SET, text('*3')]))
    expect((await run('check-aof', [manifest])).code).toBe(1)
    const { code, output } = await run('check-aof', ['--fix', manifest], ['yes'])
    expect(output).toContain(
      'Successfully truncated AOF appendonly.aof.2.incr.aof\nAll AOF files and manifest are valid',
    )
    expect(code).toBe(0)
    expect(readFileSync(part('appendonly.aof.2.incr.aof'))).toEqual(SET)
    expect(readFileSync(part(`appendonly.aof.2.incr.aof${COPY}`))).toEqual(Buffer.concat([SET, text('*3')]))
    expect(existsSync(part('appendonly.aof.lock'))).toBe(false)
  })

  test('lets the file be fixed that was the last one before a rewrite began', async () => {
    writeFileSync(part('appendonly.aof.1.incr.aof'), Buffer.concat([SET, text('*3')]))
    writeFileSync(part('appendonly.aof.2.incr.aof'), '')
    const { code } = await run('check-aof', ['--fix', manifest], ['yes'])
    expect(code).toBe(0)
    expect(readFileSync(part('appendonly.aof.1.incr.aof'))).toEqual(SET)
  })

  test.each(['appendonly.aof.1.base.aof', 'appendonly.aof.1.incr.aof'])('does not let %s be fixed', async (name) => {
    const torn = Buffer.concat([SET, text('*3')])
    writeFileSync(part(name), torn)
    const { code, output } = await run('check-aof', ['--fix', manifest], ['y'])
    expect(code).toBe(1)
    expect(output).toContain(`Failed to truncate AOF ${name} because it is not the last file`)
    expect(readFileSync(part(name))).toEqual(torn)
  })

  test('that names a missing file is not valid', async () => {
    rmSync(part('appendonly.aof.1.incr.aof'))
    expect(await run('check-aof', [manifest])).toMatchObject({
      code: 1,
      output: expect.stringContaining(
        `Cannot open file ${part('appendonly.aof.1.incr.aof')}: No such file or directory`,
      ),
    })
  })

  test.each([
    ['', ''],
    ['file a seq 1 type b', ''],
    ['file a seq 1 type x\n', 'line 1'],
    ['file a seq 1 type b\nfile b seq 2 type b\n', 'line 2'],
    ['file ../a seq 1 type b\n', 'line 1'],
  ])('with content %j is not valid: it is named, with the line', async (content, line) => {
    writeFileSync(manifest, content)
    const { code, output } = await run('check-aof', [manifest])
    expect(code).toBe(1)
    expect(output).toContain(manifest)
    expect(output).toContain(line)
  })

  test('may name files beyond ASCII', async () => {
    writeFileSync(manifest, 'file größe.1.incr.aof seq 1 type i\n')
    writeFileSync(part('größe.1.incr.aof'), SET)
    const { code, output } = await run('check-aof', [manifest])
    expect(output).toContain('INCR AOF größe.1.incr.aof is valid')
    expect(code).toBe(0)
  })

  test('is locked while its last file is changed: a server that runs is not disturbed', async () => {
    writeFileSync(part('appendonly.aof.2.incr.aof'), Buffer.concat([SET, text('*3')]))
    const unlock = lockLog(join(directory, 'appendonly.aof.lock'))
    try {
      for (const path of [manifest, part('appendonly.aof.2.incr.aof')]) {
        const { code, output } = await run('check-aof', ['--fix', '--yes', path])
        expect(output).toContain('in use')
        expect(code).toBe(1)
      }
      // Looking is allowed.
      expect((await run('check-aof', [manifest])).output).toContain('diff=2')
    } finally {
      unlock()
    }
  })
})

describe('--truncate-to-timestamp', () => {
  const stamped = [
    text('#TS:1628217470\r\n'),
    command('SET', 'foo1', 'bar1'),
    text('#TS:1628217471\r\n'),
    command('SET', 'foo2', 'bar2'),
    text('#TS:1628217472\r\n'),
    text('#TS:1628217473\r\n'),
    command('SET', 'foo3', 'bar3'),
    text('#TS:1628217474\r\n'),
  ]

  test.each([
    ['1628217473', 7],
    ['1628217471', 4],
    ['1628217470', 2],
  ])('%s keeps what was written until then, and a copy of all', async (time, kept) => {
    const content = write(...stamped)
    const { code, output } = await run('check-aof', ['--truncate-to-timestamp', time, file])
    expect(output).toContain(`Successfully truncated AOF ${file} to timestamp ${time}`)
    expect(code).toBe(0)
    expect(readFileSync(file)).toEqual(Buffer.concat(stamped.slice(0, kept)))
    expect(readFileSync(`${file}${COPY}`)).toEqual(content)
  })

  test('cuts off nothing when all is older', async () => {
    const content = write(...stamped)
    const { code, output } = await run('check-aof', ['--truncate-to-timestamp', '1628217474', file])
    expect(output).toContain(`Nothing in AOF ${file} is later than timestamp 1628217474`)
    expect(code).toBe(0)
    expect(readFileSync(file)).toEqual(content)
    expect(readdirSync(directory)).toEqual(['appendonly.aof'])
  })

  test('aborts when nothing would be left', async () => {
    const content = write(...stamped)
    const { code, output } = await run('check-aof', ['--truncate-to-timestamp', '1628217469', file])
    expect(output).toContain(`AOF ${file} has nothing before timestamp 1628217469, aborting`)
    expect(code).toBe(1)
    expect(readFileSync(file)).toEqual(content)
  })

  test('does not cut a transaction in two', async () => {
    write(SET, command('MULTI'), SET, text('#TS:5\r\n'), SET, command('EXEC'))
    expect((await run('check-aof', ['--truncate-to-timestamp', '4', file])).code).toBe(0)
    expect(readFileSync(file)).toEqual(SET)
  })

  test('refuses a time stamp that is none', async () => {
    write(SET, text('#TS:12x\r\n'))
    expect(await run('check-aof', ['--truncate-to-timestamp', '4', file])).toMatchObject({
      code: 1,
      output: expect.stringContaining("offset 33: expected a time stamp, found '#TS:12x'"),
    })
  })

  test('leaves all but the last file of a manifest alone', async () => {
    const manifest = join(directory, 'appendonly.aof.manifest')
    writeFileSync(manifest, 'file a.base seq 1 type b\nfile a.incr seq 1 type i\n')
    writeFileSync(join(directory, 'a.base'), Buffer.concat(stamped))
    writeFileSync(join(directory, 'a.incr'), SET)
    const { code, output } = await run('check-aof', ['--truncate-to-timestamp', '1628217473', manifest])
    expect(output).toMatch(/Failed to truncate AOF a\.base to timestamp 1628217473 .*because it is not the last file/)
    expect(code).toBe(1)
    expect(readFileSync(join(directory, 'a.base'))).toEqual(Buffer.concat(stamped))
  })
})

describe('a log that a server writes', () => {
  test('is valid while it runs and when it has been killed, and a changed bit in it is found', async () => {
    const server = await ServerProcess.millrace([
      '--appendonly',
      'yes',
      '--appendfsync',
      'no',
      '--aof-timestamp-enabled',
      'yes',
    ])
    try {
      const folder = join(server.directory, 'appendonlydir')
      const manifest = join(folder, 'appendonly.aof.manifest')
      const client = await server.connect()
      for (let i = 0; i < 50; i++) await client.call('SET', `key:${i}`, 'value'.repeat(10))
      await client.pipeline([['MULTI'], ['INCR', 'n'], ['INCR', 'n'], ['EXEC']])
      expect(await run('check-aof', [manifest])).toMatchObject({
        code: 0,
        output: expect.stringContaining('are valid'),
      })
      expect(await run('check-aof', ['--fix', manifest])).toMatchObject({
        code: 1,
        output: expect.stringContaining(`it is in use by process ${server.pid}`),
      })
      client.close()
      const last = join(
        folder,
        readdirSync(folder)
          .filter((name) => name.endsWith('.incr.aof'))
          .sort()
          .at(-1)!,
      )
      // It comes when nothing more has come for a while; a server that is killed before leaves records without.
      await vi.waitFor(() => expect(readFileSync(last, 'latin1')).toContain('#CRC32:'), { timeout: 10_000 })
      await server.kill()
      expect((await run('check-aof', ['--fix', manifest])).code).toBe(0)
      const content = readFileSync(last)
      expect(content.toString('latin1')).toMatch(/#TS:\d+\r\n/)
      const at = content.indexOf('valuevalue')
      content[at] = content[at]! ^ 1
      writeFileSync(last, content)
      const { code, output } = await run('check-aof', [manifest])
      expect(output).toMatch(/offset \d+: the \d+ bytes up to offset \d+ are not those that were written/)
      expect(code).toBe(1)
    } finally {
      await server.dispose()
    }
  })
})

describe('calls', () => {
  test.each([
    [[], 'Expected a file'],
    [['a', 'b'], 'Expected one file'],
    [['--nosuch', 'a'], 'Unknown option --nosuch'],
    [['--yes', 'a'], '--yes needs --fix'],
    [['--fix', '--truncate-to-timestamp', '1', 'a'], 'Use either --fix or --truncate-to-timestamp'],
    [['--truncate-to-timestamp', 'x', 'a'], "Expected a Unix time in seconds, got 'x'"],
    [['--truncate-to-timestamp'], "Expected a Unix time in seconds, got ''"],
  ])('%j is refused, with the usage', async (args, reason) => {
    const { code, complaint, output } = await run('check-aof', args)
    expect(complaint).toMatch(new RegExp(`^${reason}\n\nUsage: millrace check-aof `))
    expect({ code, output }).toEqual({ code: 1, output: '' })
  })

  test('--help shows the usage', async () => {
    const { code, output, complaint } = await run('check-aof', ['--help'])
    expect(output).toMatch(/^Usage: millrace check-aof /)
    expect({ code, complaint }).toEqual({ code: 0, complaint: '' })
  })

  test('a file that is not there, a directory and a pipe are refused', async () => {
    spawnSync('mkfifo', [join(directory, 'pipe')])
    for (const [path, reason] of [
      [join(directory, 'none'), 'No such file or directory'],
      [directory, 'it is not a regular file'],
      [join(directory, 'pipe'), 'it is not a regular file'],
    ] as const) {
      const { code, output } = await run('check-aof', [path])
      expect(output).toBe(`Cannot open file ${path}: ${reason}`)
      expect(code).toBe(1)
    }
  })

  test.skipIf(isRoot)('a file that may not be read is refused', async () => {
    write(SET)
    chmodSync(file, 0)
    expect(await run('check-aof', [file])).toMatchObject({
      code: 1,
      output: `Cannot open file ${file}: Permission denied`,
    })
  })

  test('the process answers with its exit code and reads answers from its input', () => {
    write(SET, text('*3'))
    const check = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
      spawnSync(process.execPath, [MAIN, 'check-aof', ...args], { input: 'y\n', encoding: 'utf8', timeout: 20_000 })
    expect(check(file)).toMatchObject({ status: 1, stderr: '', stdout: expect.stringContaining('is not valid') })
    expect(check('--fix', file)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Successfully truncated AOF'),
    })
    expect(check(file)).toMatchObject({ status: 0, stdout: expect.stringContaining('is valid') })
    expect(check()).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('Usage: millrace check-aof'),
    })
  })
})
