/** XNACK: pending entries that are given back to the group, and what others see of them. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { genericCommands } from '../../src/commands/generic/index.ts'
import { streamCommands } from '../../src/commands/stream/index.ts'
import { CommandBench } from '../commands/command-bench.ts'
import { TestBroker, TestClock } from '../support/broker.ts'
import { mapOf } from './stream-replies.ts'

const FIELDS = ['f', 'v']
const GIVEN_UP = 9223372036854775807n

describe('XNACK', () => {
  let bench: CommandBench

  beforeEach(() => {
    bench = new CommandBench([streamCommands, genericCommands])
    bench.ctx.mayBlock = false
    for (const id of ['1-0', '2-0', '3-0', '4-0']) bench.call('XADD', 's', id, ...FIELDS)
    bench.call('XGROUP', 'CREATE', 's', 'g', '0')
    call('XREADGROUP GROUP g c COUNT 3 STREAMS s >')
  })

  afterEach(() => {
    const [held, accounted] = bench.accounts()
    expect(held).toEqual(accounted)
  })

  const call = (line: string): unknown => bench.call(...line.split(' '))
  const pending = (): unknown => call('XPENDING s g - + 10')
  const effectsOf = (line: string): string[] => {
    bench.takeEffects()
    call(line)
    return bench.takeEffects().filter((effect) => !/^(SELECT|MULTI|EXEC)/.test(effect))
  }

  test('releases entries: they are pending for nobody', () => {
    bench.pass(100)
    expect(call('XNACK s g FAIL IDS 2 1-0 3-0')).toBe(2)
    expect(pending()).toEqual([
      ['1-0', '', -1, 1],
      ['2-0', 'c', 100, 1],
      ['3-0', '', -1, 1],
    ])
    expect(call('XPENDING s g')).toEqual([3, '1-0', '3-0', [['c', '1']]])
    expect(call('XPENDING s g IDLE 5000 - + 10')).toEqual([
      ['1-0', '', -1, 1],
      ['3-0', '', -1, 1],
    ])
    expect(call('XPENDING s g - + 10 c')).toEqual([['2-0', 'c', 100, 1]])
    expect(call('XREADGROUP GROUP g c STREAMS s 0')).toEqual([['s', [['2-0', FIELDS]]]])
  })

  test('SILENT takes the delivery back, FATAL counts as many as there can be, RETRYCOUNT sets the number', () => {
    expect(call('XNACK s g SILENT IDS 1 1-0')).toBe(1)
    expect(call('XNACK s g FATAL IDS 1 2-0')).toBe(1)
    expect(call('XNACK s g silent ids 1 3-0 retrycount 7')).toBe(1)
    expect(bench.wire('XPENDING', 's', 'g', '-', '+', '10')).toContain(`:${GIVEN_UP}\r\n`)
    expect(call('XCLAIM s g d 0 1-0 2-0 3-0 JUSTID')).toEqual(['1-0', '2-0', '3-0'])
    expect(bench.wire('XPENDING', 's', 'g', '-', '+', '10')).toContain(`:${GIVEN_UP}\r\n`)
    call('XCLAIM s g d 0 1-0 2-0 3-0')
    const counts = bench.wire('XPENDING', 's', 'g', '-', '+', '10').match(/:\d+\r\n(?=\*|$)/g)
    expect(counts).toEqual([':1\r\n', `:${GIVEN_UP}\r\n`, ':8\r\n'])
    call('XNACK s g SILENT IDS 1 1-0')
    call('XCLAIM s g d 0 1-0 RETRYCOUNT 0')
    expect(call('XNACK s g SILENT IDS 1 1-0')).toBe(1)
    expect(call('XPENDING s g 1-0 1-0 1')).toEqual([['1-0', '', -1, 0]])
  })

  test('counts neither what is not pending nor what is nobody’s already', () => {
    expect(call('XNACK s g FAIL IDS 4 1-0 1-0 4-0 9-9')).toBe(1)
    expect(call('XNACK s g SILENT IDS 1 1-0')).toBe(0)
    expect(pending()).toEqual([
      ['1-0', '', -1, 1],
      ['2-0', 'c', 0, 1],
      ['3-0', 'c', 0, 1],
    ])
    expect(call('XNACK none g FAIL IDS 1 1-0')).toBe(0)
    expect(call('XNACK s none FAIL IDS 1 1-0')).toBe(0)
  })

  test('FORCE releases what was never delivered, if it is in the stream', () => {
    expect(call('XNACK s g FAIL IDS 2 4-0 5-0 FORCE')).toBe(1)
    expect(call('XPENDING s g 4-0 + 10')).toEqual([['4-0', '', -1, 0]])
    expect(call('XREADGROUP GROUP g c CLAIM 1000 STREAMS s >')).toEqual([
      [
        's',
        [
          ['4-0', FIELDS, 1_700_000_000_000, 0],
          ['4-0', FIELDS, 0, 0],
        ],
      ],
    ])
  })

  test.each([
    ['s g MAYBE IDS 1 1-0', 'ERR mode must be SILENT, FAIL, or FATAL'],
    ['s g FAIL IDS 0 1-0', 'ERR numids must be a positive integer'],
    ['s g FAIL IDS x 1-0', 'ERR numids must be a positive integer'],
    ['s g FAIL IDS 3 1-0', "ERR number of IDs doesn't match numids"],
    ['s g FAIL IDS 1 x', 'ERR Invalid stream ID specified as stream command argument'],
    ['s g FAIL IDS 1 1-0 BOGUS', "ERR Unrecognized XNACK option 'BOGUS'"],
    ['s g FAIL IDS 1 1-0 2-0', "ERR Unrecognized XNACK option '2-0'"],
    ['s g FAIL IDS 1 1-0 RETRYCOUNT -1', 'ERR Invalid RETRYCOUNT value, must be >= 0'],
    ['s g FAIL IDS 1 1-0 RETRYCOUNT x', 'ERR value is not an integer or out of range'],
    ['s g FAIL FORCE RETRYCOUNT 1', 'ERR syntax error, expected IDS keyword'],
    ['s g FAIL IDS 1', "ERR wrong number of arguments for 'xnack' command"],
  ])('%s is refused, and nothing changes', (args, error) => {
    const before = pending()
    expect(bench.wire('XNACK', ...args.split(' '))).toBe(`-${error}\r\n`)
    expect(pending()).toEqual(before)
  })

  test('XCLAIM, XAUTOCLAIM and CLAIM take released entries whatever the idle time, the one released first first', () => {
    call('XNACK s g FAIL IDS 3 3-0 1-0 2-0')
    expect(call('XREADGROUP GROUP g d COUNT 1 CLAIM 99999999999999 STREAMS s >')).toEqual([
      ['s', [['3-0', FIELDS, 1_700_000_000_000, 1]]],
    ])
    expect(call('XCLAIM s g d 99999999999999 1-0 3-0 JUSTID')).toEqual(['1-0'])
    expect(call('XAUTOCLAIM s g d 99999999999999 0 JUSTID')).toEqual(['0-0', ['2-0'], []])
    expect(call('XPENDING s g')).toEqual([3, '1-0', '3-0', [['d', '3']]])
  })

  test('entries that are gone from the stream are dropped, and replayed without a consumer', () => {
    call('XNACK s g FAIL IDS 2 1-0 2-0')
    call('XDEL s 1-0 2-0')
    expect(effectsOf('XCLAIM s g c 0 1-0')).toEqual(['XACK s g 1-0'])
    expect(effectsOf('XAUTOCLAIM s g c 0 0 COUNT 1').slice(0, 1)).toEqual(['XACK s g 2-0'])
    expect(pending()).toEqual([['3-0', 'c', 0, 1]])
  })

  test('XACK, XACKDEL, XDELEX, XGROUP DELCONSUMER and DESTROY end what was released', () => {
    call('XNACK s g FAIL IDS 3 1-0 2-0 3-0')
    expect(call('XGROUP DELCONSUMER s g c')).toBe(0)
    expect(call('XACK s g 1-0')).toBe(1)
    expect(call('XACKDEL s g IDS 1 2-0')).toEqual([1])
    expect(call('XDELEX s DELREF IDS 1 3-0')).toEqual([1])
    expect(pending()).toEqual([])
    call('XNACK s g FAIL IDS 1 4-0 FORCE')
    expect(call('XGROUP DESTROY s g')).toBe(1)
  })

  test('XINFO STREAM FULL shows how many were released', () => {
    const group = (): Record<string, unknown> => {
      const full = mapOf(call('XINFO STREAM s FULL'))
      return mapOf((full.groups as unknown[])[0])
    }
    expect(Object.keys(group())).not.toContain('nacked-count')
    call('XNACK s g FAIL IDS 2 1-0 2-0')
    expect(group()).toMatchObject({ 'pel-count': 3, 'nacked-count': 2 })
    expect((group().pending as unknown[])[0]).toEqual(['1-0', '', 0, 1])
  })

  test('is recorded with what the counts have become, in runs', () => {
    call('XCLAIM s g c 0 3-0')
    expect(effectsOf('XNACK s g SILENT IDS 4 1-0 2-0 3-0 9-0')).toEqual([
      'XNACK s g FAIL IDS 2 1-0 2-0 RETRYCOUNT 0',
      'XNACK s g FAIL IDS 1 3-0 RETRYCOUNT 1',
    ])
    expect(effectsOf('XNACK s g FATAL IDS 1 4-0 FORCE')).toEqual([
      `XNACK s g FAIL IDS 1 4-0 RETRYCOUNT ${GIVEN_UP} FORCE`,
    ])
    expect(effectsOf('XCLAIM s g c 0 4-0')[0]).toContain(`RETRYCOUNT ${GIVEN_UP}`)
    expect(effectsOf('XNACK s g FAIL IDS 1 9-0')).toEqual([])
  })

  test('COPY, DUMP and RESTORE keep the order of release, also beside a consumer without a name', () => {
    bench.call('XCLAIM', 's', 'g', '', '0', '3-0')
    call('XNACK s g FAIL IDS 2 2-0 1-0')
    call('XNACK s g FATAL IDS 1 4-0 FORCE')
    bench.call('XGROUP', 'CREATE', 's', 'h', '0')
    call('XREADGROUP GROUP h c COUNT 1 STREAMS s >')
    call('XNACK s h FAIL IDS 1 1-0')
    const before = call('XINFO STREAM s FULL')
    call('COPY s copy')
    expect(bench.call('RESTORE', 'restored', '0', call('DUMP s') as string)).toBe('OK')
    for (const key of ['copy', 'restored']) {
      expect(withoutTimes(call(`XINFO STREAM ${key} FULL`))).toBe(withoutTimes(before))
      const claimed = call(`XREADGROUP GROUP g d CLAIM 1000 STREAMS ${key} >`) as [[string, [string][]]]
      expect(claimed[0][1].map(([id]) => id)).toEqual(['2-0', '1-0', '4-0', '4-0'])
      call(`DEL ${key}`)
    }
  })

  test('what is pending, and in which order it is claimed, is that of a model after any sequence of commands', () => {
    const id = fc.integer({ min: 1, max: 12 })
    const ids = fc.uniqueArray(id, { minLength: 1, maxLength: 4 })
    const step = fc.oneof(
      fc.record({ kind: fc.constant('release' as const), ids }),
      fc.record({ kind: fc.constant('claim' as const), ids, consumer: fc.constantFrom('a', 'b') }),
      fc.record({ kind: fc.constant('ack' as const), ids }),
      fc.record({ kind: fc.constant('read' as const), count: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('copy' as const), by: fc.constantFrom('COPY', 'DUMP') }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        call('FLUSHDB')
        for (let i = 1; i <= 12; i++) call(`XADD s ${i}-0 f v`)
        call('XGROUP CREATE s g 0')
        /** Owners by ID; released ones in the order of release. */
        const owners = new Map<number, string>()
        let released: number[] = []
        let next = 1
        for (const step of steps) {
          if (step.kind === 'release') {
            const expected = step.ids.filter((id) => owners.has(id) && !released.includes(id))
            expect(call(`XNACK s g FAIL IDS ${step.ids.length} ${step.ids.map((id) => `${id}-0`).join(' ')}`)).toBe(
              expected.length,
            )
            released.push(...expected)
            for (const id of expected) owners.set(id, '')
          } else if (step.kind === 'claim') {
            call(`XCLAIM s g ${step.consumer} 0 ${step.ids.map((id) => `${id}-0`).join(' ')}`)
            for (const id of step.ids.filter((id) => owners.has(id))) owners.set(id, step.consumer)
            released = released.filter((id) => !step.ids.includes(id))
          } else if (step.kind === 'ack') {
            call(`XACK s g ${step.ids.map((id) => `${id}-0`).join(' ')}`)
            for (const id of step.ids) owners.delete(id)
            released = released.filter((id) => !step.ids.includes(id))
          } else if (step.kind === 'read') {
            const expected: number[] = []
            while (expected.length < step.count && released.length > 0) expected.push(released.shift()!)
            while (expected.length < step.count && next <= 12) expected.push(next++)
            const reply = call(`XREADGROUP GROUP g a COUNT ${step.count} CLAIM 99999999 STREAMS s >`)
            const got =
              reply === null ? [] : (reply as [[string, [string][]]])[0][1].map(([id]) => Number.parseInt(id, 10))
            expect(got).toEqual(expected)
            for (const id of got) owners.set(id, 'a')
          } else {
            if (step.by === 'COPY') call('COPY s t')
            else bench.call('RESTORE', 't', '0', call('DUMP s') as string)
            call('RENAME t s')
          }
          const rows = call('XPENDING s g - + 20') as [string, string][]
          const listed = [...owners].sort(([a], [b]) => a - b).map(([id, owner]) => [`${id}-0`, owner])
          expect(rows.map(([id, owner]) => [id, owner])).toEqual(listed)
        }
        const [held, accounted] = bench.accounts()
        expect(held).toEqual(accounted)
      }),
      { numRuns: 60 },
    )
  })
})

describe('a client that waits to claim', () => {
  test('is woken when an entry is released', async () => {
    const broker = await TestBroker.start({}, new TestClock())
    const [first, second] = [await broker.connect(), await broker.connect()]
    await first.call('XADD', 's', '1-0', ...FIELDS)
    await first.call('XGROUP', 'CREATE', 's', 'g', '0')
    await first.call('XREADGROUP', 'GROUP', 'g', 'a', 'STREAMS', 's', '>')
    const options = ['BLOCK', '0', 'CLAIM', '99999999']
    const waiting = second.call('XREADGROUP', 'GROUP', 'g', 'b', ...options, 'STREAMS', 's', '>')
    await first.call('XNACK', 's', 'g', 'FAIL', 'IDS', '1', '1-0')
    expect(await waiting).toEqual([['s', [['1-0', FIELDS, 1_700_000_000_000, 1]]]])
    await broker.stop()
  })
})

/** When entries were read is no part of what is compared. */
function withoutTimes(state: unknown): string {
  return JSON.stringify(state, (_key, value) => (typeof value === 'bigint' ? String(value) : value)).replace(
    /"(seen|active)-time",-?\d+/g,
    '',
  )
}
