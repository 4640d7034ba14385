/** The loader of the append-only file by itself: slices, checksum lines, and every kind of damage with its exact outcome. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  checksumLineLength,
  checksumOf,
  timestampLine,
  type Unsummed,
  writeChecksum,
} from '../../src/persistence/aof-annotations.ts'
import { AofLoadError, AofLoader, type AofLoadFile } from '../../src/persistence/aof-load.ts'
import { LoadProgress } from '../../src/persistence/load-progress.ts'
import { TestLog } from '../support/broker.ts'
import { encodeCommand } from '../support/resp-client.ts'

let directory = ''

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-'))
})

afterEach(() => rmSync(directory, { recursive: true }))

interface LoadOptions {
  readonly truncates?: boolean
  readonly progress?: LoadProgress
}

interface Loaded {
  /** Commands that were run, each as its words joined by blanks; those of a transaction when it was executed. */
  readonly commands: string[]
  readonly slices: number
  readonly warnings: readonly string[]
  readonly unsummed: Unsummed | null
}

function file(name: string): AofLoadFile {
  return { name, path: join(directory, name), kind: 'incr', isOldStyle: false }
}

/** Loads files with these contents. */
function load(contents: Readonly<Record<string, string>>, options: LoadOptions = {}): Loaded {
  for (const [name, content] of Object.entries(contents)) writeFileSync(join(directory, name), content, 'latin1')
  const log = new TestLog()
  const progress = options.progress ?? new LoadProgress()
  const commands: string[] = []
  let queue: string[] | null = null
  const loader = new AofLoader({
    files: Object.keys(contents).map(file),
    truncates: options.truncates ?? true,
    log,
    progress,
    replay: {
      begin: () => {},
      run: (args) => {
        const text = Array.from({ length: args.count }, (_, i) => args.text(i)).join(' ')
        if (text === 'MULTI') queue = []
        else if (text === 'EXEC') {
          commands.push(...(queue ?? []))
          queue = null
        } else if (text.startsWith('NOSUCH')) return 'ERR unknown command'
        else (queue ?? commands).push(text)
        return null
      },
      isInTransaction: () => queue !== null,
      discard: () => {
        queue = null
      },
    },
    loadSnapshot: () => {
      throw new Error('No snapshot is expected')
    },
  })
  let slices = 1
  try {
    for (progress.beginSlice(); !loader.step(); progress.beginSlice()) slices++
  } finally {
    loader.close()
  }
  return { commands, slices, warnings: log.warnings, unsummed: loader.unsummed }
}

function content(name: string): string {
  return readFileSync(join(directory, name), 'latin1')
}

/** A batch of commands with the line that holds its checksum. */
function batch(...commands: string[][]): string {
  const bytes = Buffer.from(commands.map(encodeCommand).join(''), 'latin1')
  const line = Buffer.alloc(checksumLineLength(bytes.length))
  writeChecksum(line, 0, checksumOf(bytes, 0, bytes.length, 0), bytes.length)
  return bytes.toString('latin1') + line.toString('latin1')
}

describe('slices', () => {
  const words = Array.from({ length: 200 }, (_, n) => ['SET', `key ${n}`, 'x'.repeat(n * 7)])
  const whole = words.map(encodeCommand).join('')
  const expected = words.map((command) => command.join(' '))

  test('end after loading-process-events-interval-bytes, and nothing is lost between them', () => {
    const progress = new LoadProgress()
    progress.intervalBytes = 1024
    const { commands, slices } = load({ log: whole }, { progress })
    expect(commands).toEqual(expected)
    // No command is as long as two intervals, none ends a slice before one.
    expect(slices).toBeGreaterThan(whole.length / 3072)
    expect(slices).toBeLessThanOrEqual(whole.length / 1024 + 1)
    expect(progress.loadedBytes).toBe(whole.length)
  })

  test('count the bytes of all files', () => {
    const progress = new LoadProgress()
    progress.begin(3, 0)
    load({ first: whole, second: '', third: whole }, { progress })
    expect(progress.loadedBytes).toBe(2 * whole.length)
  })

  test('owe what key-load-delay wants to be waited for', () => {
    const progress = new LoadProgress()
    progress.delayUs = 2500
    const owed: number[] = []
    const { beginSlice } = progress
    progress.beginSlice = () => {
      owed.push(progress.owedMs)
      beginSlice.call(progress)
    }
    // Four commands come to 10 ms.
    expect(load({ log: words.slice(0, 10).map(encodeCommand).join('') }, { progress }).slices).toBe(3)
    expect(owed).toEqual([0, 10, 10])
    progress.delayUs = -2
    load({ log: words.slice(0, 10).map(encodeCommand).join('') }, { progress })
    expect(progress.owedMs).toBeCloseTo(0.005)
  })

  test('a command longer than the buffer is read in pieces', () => {
    const long = ['SET', 'long', 'y'.repeat(5_000_000)]
    const { commands } = load({ log: encodeCommand(['SET', 'a', '1']) + encodeCommand(long) + whole })
    expect(commands).toEqual(['SET a 1', long.join(' '), ...expected])
  })
})

describe('annotation lines', () => {
  const first = batch(['SELECT', '0'], ['SET', 'a', '1'])
  const second = batch(['MULTI'], ['SET', 'b', '#CRC32:00000000:5\r\n'], ['EXEC'])
  const third = batch(['SET', 'c', '3'])
  const commands = ['SELECT 0', 'SET a 1', 'SET b #CRC32:00000000:5\r\n', 'SET c 3']

  test('are read past: times, checksums that are right, and whatever else', () => {
    const log = `${timestampLine(1_700_000_000).toString('latin1')}#anything\r\n`
    expect(load({ log: first + second + third }).commands).toEqual(commands)
    // A time that belongs to no batch is a writer's that knows of no checksums.
    expect(load({ log: log + first + log + second + log + third }).commands).toEqual(commands)
  })

  test('cover what comes with them, not what another writer or a torn write has left', () => {
    const bare = encodeCommand(['SET', 'bare', 'x'.repeat(3_000_000)])
    expect(load({ log: bare + first + second }).commands.slice(1)).toEqual(commands.slice(0, 3))
    expect(load({ log: first + bare + second }).commands.length).toBe(4)
  })

  test('that are missing at the end are told of, unless it is much: whoever goes on there sums that up, too', () => {
    const bare = encodeCommand(['SET', 'bare', 'x']) + encodeCommand(['SET', 'b', ''])
    const bytes = Buffer.from(bare)
    const unsummed = { bytes: bytes.length, crc: checksumOf(bytes, 0, bytes.length, 0) }
    expect(load({ log: first + second }).unsummed).toBeNull()
    expect(load({ log: '' }).unsummed).toBeNull()
    expect(load({ log: bare }).unsummed).toEqual(unsummed)
    expect(load({ log: first + bare }).unsummed).toEqual(unsummed)
    expect(load({ log: first, last: first + second + bare }).unsummed).toEqual(unsummed)
    expect(load({ log: first + bare, last: '' }).unsummed).toBeNull()
    // What is cut off does not count.
    expect(load({ log: `${first}${bare}*2\r\n$3\r\nGET` }).unsummed).toEqual(unsummed)
    expect(load({ log: first + bare + encodeCommand(['MULTI']) + bare }).unsummed).toEqual(unsummed)
    expect(load({ log: first + encodeCommand(['SET', 'bare', 'x'.repeat(16 * 1024)]) }).unsummed).toBeNull()
  })

  test('show every bit that has changed: loading ends, or the commands are what they were', () => {
    const whole = Buffer.from(first + second + third, 'latin1')
    let refused = 0
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole)
      damaged[at]! ^= 1 << (at % 8)
      try {
        expect(load({ log: damaged.toString('latin1') }).commands, `byte ${at}`).toEqual(commands)
      } catch (error) {
        if (!(error instanceof AofLoadError)) throw error
        refused++
        expect(error.message).toMatch(/reading the append only file log at offset \d+/)
        expect(statSync(join(directory, 'log')).size, `byte ${at}`).toBe(whole.length)
      }
    }
    // All but some bytes of the lines themselves.
    expect(refused).toBeGreaterThan(whole.length - 3 * '#CRC32:'.length)
  })

  test('show that something is missing', () => {
    const [, rest = ''] = first.split(encodeCommand(['SELECT', '0']))
    expect(() => load({ log: rest + second })).toThrow(/at offset \d+: expected 50 bytes since .*, found 27/)
  })

  test('tell a torn end from damage: what is torn is cut off at every byte, what is damaged never', () => {
    const whole = first + second + third
    for (let length = 0; length <= whole.length; length++) {
      const { commands: kept } = load({ log: whole.slice(0, length) })
      expect(commands.slice(0, kept.length), `cut at ${length}`).toEqual(kept)
      expect(whole.startsWith(content('log')), `cut at ${length}`).toBe(true)
    }
    // A length that goes beyond the end of the file looks like a torn end.
    const damaged = whole.replace('$1\r\na', '$9999\r\na')
    expect(() => load({ log: damaged })).toThrow(
      /goes beyond the end of the file, but a whole batch ends at offset \d+/,
    )
    expect(content('log')).toBe(damaged)
  })

  test('that are too long, or are no checksum although they say so, are fatal', () => {
    expect(() => load({ log: `#${'x'.repeat(2000)}\r\n` })).toThrow(/at offset 0: an annotation line that is too long/)
    expect(() => load({ log: '#CRC32:xyz\r\n' })).toThrow(/at offset 0: expected a checksum line/)
  })
})

describe('damage', () => {
  const set = encodeCommand(['SET', 'a', '1'])

  for (const [what, damaged, problem] of [
    ['bytes that are no command', 'garbage\r\n', "at offset 27: expected a command, found 'g'"],
    ['zeros', '\0\0\0\0', 'at offset 27: expected a command, found byte 0'],
    ['a command without arguments', '*0\r\n', 'at offset 27: a command without arguments'],
    ['a count that is no number', '*x\r\n$1\r\na\r\n', 'at offset 27: invalid multibulk length'],
    ['a length that is no number', '*1\r\n$x\r\na\r\n', 'at offset 27: invalid bulk length'],
    ['no length', '*1\r\n:1\r\na\r\n', "at offset 27: expected '$', got ':'"],
    ['a length that is too small', '*2\r\n$3\r\nGET\r\n$1\r\nab\r\n', 'argument 1 does not end at offset 45'],
  ] as const) {
    test(`${what} in the midst of the file are fatal, and it stays as it is`, () => {
      const whole = set + damaged + set
      expect(() => load({ log: whole })).toThrow(
        `Bad file format reading the append only file log ${problem}`.slice(0, 47),
      )
      expect(() => load({ log: whole })).toThrow(problem)
      expect(content('log')).toBe(whole)
    })
  }

  test('a command that does not exist is fatal, with its name and offset', () => {
    expect(() => load({ log: set + encodeCommand(['NOSUCH', 'x']) })).toThrow(
      "Unknown command 'NOSUCH' reading the append only file log at offset 27",
    )
  })

  test('a length beyond the end of the file does not make it be read', () => {
    const { commands, warnings } = load({ log: `${set}*2\r\n$3\r\nGET\r\n$2000000000\r\nabc` })
    expect(commands).toEqual(['SET a 1'])
    expect(content('log')).toBe(set)
    expect(warnings).toEqual([
      '!!! Warning: short read while loading the AOF file log!!!',
      expect.stringMatching(/^!!! Truncating the AOF log at offset 27 !!!/),
      'AOF log loaded anyway because aof-load-truncated is enabled',
    ])
  })

  test('a transaction without its end is cut off', () => {
    const { commands, warnings } = load({ log: set + encodeCommand(['MULTI']) + set })
    expect(commands).toEqual(['SET a 1'])
    expect(content('log')).toBe(set)
    expect(warnings[0]).toBe('Revert incomplete MULTI/EXEC transaction in AOF file log')
  })

  test('a torn end is fatal with aof-load-truncated no, and in any but the last file', () => {
    const torn = `${set}*2\r\n$3\r\nGE`
    expect(() => load({ log: torn }, { truncates: false })).toThrow(
      'Unexpected end of file reading the append only file log: 10 bytes behind offset 27',
    )
    expect(() => load({ first: torn, second: set })).toThrow(
      /^Unexpected end of file reading the append only file first: .* it is not the last file$/,
    )
    expect(content('first')).toBe(torn)
  })

  test('a torn end is cut off also before a file in which there is nothing yet', () => {
    const { commands } = load({ first: `${set}*2\r\n$3\r\nGE`, second: '', third: '' })
    expect(commands).toEqual(['SET a 1'])
    expect(content('first')).toBe(set)
  })
})
