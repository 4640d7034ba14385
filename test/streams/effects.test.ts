/** What stream commands leave in the journal, and what a log gives back. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Stream } from '../../src/structures/stream.ts'
import { rebuildCommands } from '../../src/structures/stream-rebuild.ts'
import { TestBroker, TestClock } from '../support/broker.ts'
import { Decoder, type Reply, type RespClient } from '../support/resp-client.ts'

let brokers: TestBroker[] = []
let directory: string | null = null
let broker: TestBroker
let client: RespClient
let clock: TestClock
let journaled = ''

async function start(options: Parameters<typeof TestBroker.start>[0] = {}): Promise<TestBroker> {
  const started = await TestBroker.start(options, clock)
  brokers.push(started)
  return started
}

beforeEach(async () => {
  clock = new TestClock()
  journaled = ''
  broker = await start()
  broker.server.journal.subscribe((buffer, from, to) => {
    journaled += buffer.latin1Slice(from, to)
  })
  client = await broker.connect()
})
afterEach(async () => {
  await Promise.all(brokers.map((started) => started.stop()))
  brokers = []
  if (directory !== null) rmSync(directory, { recursive: true })
  directory = null
})

function call(line: string): Promise<Reply> {
  return client.call(...line.split(' '))
}

/** What was recorded since the last call, without SELECT. */
function effects(): string[] {
  const decoder = new Decoder(journaled)
  const commands: string[] = []
  for (let reply = decoder.next(); reply !== undefined; reply = decoder.next()) {
    const words = reply as string[]
    if (words[0] !== 'SELECT') commands.push(words.join(' '))
  }
  journaled = ''
  return commands
}

/** State of a stream, as text that is equal for equal streams. */
async function stateOf(reader: RespClient, key: string): Promise<string> {
  return JSON.stringify(await reader.call('XINFO', 'STREAM', key, 'FULL', 'COUNT', '0'))
}

describe('the journal', () => {
  it('has the ID that XADD chose', async () => {
    await call('XADD s * a b')
    await call('XADD s NOMKSTREAM 1700000000001-* a b')
    await call('XADD s 1700000000002-7 a b')
    await call('XADD none NOMKSTREAM * a b')
    expect(effects()).toEqual([
      'XADD s 1700000000000-0 a b',
      'XADD s NOMKSTREAM 1700000000001-0 a b',
      'XADD s 1700000000002-7 a b',
    ])
  })

  it('has exact trimming for approximate trimming, and nothing for trimming that did nothing', async () => {
    broker.server.keyspace.limits.streamNodeMaxEntries = 2
    for (let i = 1; i <= 6; i++) await call(`XADD s ${i} a b`)
    effects()
    await call('XADD s MAXLEN ~ 4 LIMIT 50 7 a b')
    await call('XADD s MAXLEN 9 8 a b')
    await call('XADD s MINID ~ 4 9 a b')
    await call('XTRIM s MAXLEN ~ 2')
    await call('XTRIM s MAXLEN ~ 2')
    await call('XTRIM s MINID 9')
    expect(effects()).toEqual([
      'XADD s MAXLEN = 5 LIMIT 50 7 a b',
      'XADD s MAXLEN 9 8 a b',
      'XADD s MINID = 3-0 9 a b',
      'XTRIM s MAXLEN = 3',
      'XTRIM s MINID 9',
    ])
  })

  it('has what became pending, claimed and positioned instead of the commands that did it', async () => {
    for (let i = 1; i <= 3; i++) await call(`XADD s ${i} a b`)
    await call('XGROUP CREATE s g 0 ENTRIESREAD 0')
    effects()
    await call('XREADGROUP GROUP g c COUNT 2 STREAMS s >')
    const time = clock.nowMs
    const claim = (id: string, owner: string, count: number, last: string) =>
      `XCLAIM s g ${owner} 0 ${id} TIME ${clock.nowMs} RETRYCOUNT ${count} FORCE JUSTID LASTID ${last}`
    expect(effects()).toEqual(['MULTI', claim('1-0', 'c', 1, '1-0'), claim('2-0', 'c', 1, '2-0'), 'EXEC'])
    await call('XREADGROUP GROUP g d NOACK STREAMS s >')
    expect(effects()).toEqual(['MULTI', 'XGROUP CREATECONSUMER s g d', 'XGROUP SETID s g 3-0 ENTRIESREAD 3', 'EXEC'])
    clock.pass(10)
    await call('XCLAIM s g d 0 1')
    expect(effects()).toEqual([claim('1-0', 'd', 2, '3-0')])
    await call('XCLAIM s g d 0 9 LASTID 9-9')
    expect(effects()).toEqual(['XGROUP SETID s g 9-9 ENTRIESREAD 3'])
    await call('XDEL s 2')
    effects()
    await call('XAUTOCLAIM s g d 0 -')
    expect(effects()).toEqual([
      'MULTI',
      claim('1-0', 'd', 3, '9-9'),
      `XCLAIM s g c 0 2-0 TIME ${time} RETRYCOUNT 1 FORCE JUSTID LASTID 9-9`,
      'EXEC',
    ])
    await call('XACK s g 1 2 3')
    await call('XACK s g 1')
    expect(effects()).toEqual(['XACK s g 1 2 3'])
    await call('XREADGROUP GROUP g d STREAMS s 0')
    await call('XREADGROUP GROUP g d STREAMS s >')
    expect(effects()).toEqual([])
  })
})

/** Fills `s` with everything that a stream can hold. */
async function fill(): Promise<void> {
  broker.server.keyspace.limits.streamNodeMaxEntries = 3
  for (let i = 1; i <= 12; i++) await call(`XADD s ${i}-${i} a ${i} b x${i}`)
  await call('XADD s 13 other 9223372036854775807')
  await call('XDEL s 4-4 9-9')
  await call('XGROUP CREATE s g 0')
  await call('XGROUP CREATE s h 5 ENTRIESREAD 5')
  await call('XREADGROUP GROUP g c COUNT 5 STREAMS s >')
  clock.pass(3)
  await call('XREADGROUP GROUP g d COUNT 3 STREAMS s >')
  await call('XCLAIM s g d 0 1 RETRYCOUNT 8')
  await call('XREADGROUP GROUP h e NOACK COUNT 2 STREAMS s >')
  await call('XGROUP CREATECONSUMER s h idle')
  await call('XADD s MAXLEN ~ 8 14 a 1 b 2')
  await call('XACK s g 3')
}

/** The state but for when consumers were seen, which no log holds, and how entries are spread over blocks. */
function withoutTimes(state: string): string {
  return state.replace(/"(seen|active)-time",-?\d+/g, '').replace(/radix[a-z-]+",\d+/g, '')
}

describe('a stream', () => {
  it('is the same after its log was loaded, but for when consumers were seen', async () => {
    directory = mkdtempSync(join(tmpdir(), 'streams-'))
    broker = await start({ appendonly: 'yes', dir: directory })
    client = await broker.connect()
    await fill()
    const before = await stateOf(client, 's')
    await broker.stop()
    brokers.splice(brokers.indexOf(broker), 1)
    const loaded = await start({ appendonly: 'yes', dir: directory })
    expect(withoutTimes(await stateOf(await loaded.connect(), 's'))).toBe(withoutTimes(before))
  })

  it('is rebuilt by its rebuild commands, also when it is empty', async () => {
    await fill()
    // What is pending and gone from the stream cannot be claimed, so it is not rebuilt.
    await call('XAUTOCLAIM s g d 0 - JUSTID')
    await call('XGROUP CREATE empty g 5 MKSTREAM')
    const other = await (await start()).connect()
    for (const key of ['s', 'empty']) {
      const db = broker.server.keyspace.databases[0]!
      const stream = db.object(db.findText(key))
      if (!(stream instanceof Stream)) throw new Error('No stream')
      for (const command of rebuildCommands(stream, key)) await other.call(...command)
      expect(withoutTimes(await stateOf(other, key))).toBe(withoutTimes(await stateOf(client, key)))
    }
  })

  it('is copied whole by COPY, and the copy lives on its own', async () => {
    await fill()
    await call('COPY s t')
    const before = await stateOf(client, 's')
    expect(await stateOf(client, 't')).toBe(before)
    await call('XACK t g 1 2')
    await call('XTRIM t MAXLEN 0')
    expect(await stateOf(client, 's')).toBe(before)
    await call('DEL s t')
    const { arena } = broker.server.keyspace
    expect(broker.server.keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
  })
})
