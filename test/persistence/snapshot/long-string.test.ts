import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LongStringRecord } from '../../../src/persistence/long-string.ts'
import { RecordBuffer } from '../../../src/persistence/rdb/record-buffer.ts'
import { Arena } from '../../../src/storage/arena.ts'
import { TestBroker } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'

const MIB = 1024 * 1024

describe('the record of a long string', () => {
  it('is what the string was, whenever it is told to keep the rest', () => {
    const text = Buffer.alloc(10_000, 'abcdefg')
    for (let stepsBefore = 0; stepsBefore <= 11; stepsBefore++) {
      const arena = new Arena()
      const ref = arena.store(text, 0, text.length)
      const tail = new RecordBuffer()
      tail.rawText('end')
      const record = new LongStringRecord(arena, ref, tail)
      const out = new RecordBuffer()
      let isWhole = false
      for (let i = 0; i < stepsBefore && !isWhole; i++) isWhole = record.step(out, 1000)
      record.keepRest()
      arena.segment(ref).fill(0, arena.offset(ref), arena.offset(ref) + text.length)
      while (!isWhole) isWhole = record.step(out, 1000)
      expect(out.bytes.toString('latin1', 0, out.length)).toBe(`${text.toString('latin1')}end`)
    }
  })
})

describe('snapshots of long strings', () => {
  let directory: string
  let broker: TestBroker
  let client: RespClient

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-long-string-'))
    broker = await TestBroker.start({ dir: directory })
    client = await broker.connect()
  })

  afterEach(async () => {
    await broker.stop()
    rmSync(directory, { recursive: true })
  })

  it.each([
    ['SETRANGE', 'long', '5', 'changed'],
    ['APPEND', 'long', 'more'],
    ['DEL', 'long'],
    ['RENAME', 'long', 'other'],
    ['SET', 'long', 'short'],
    ['EXPIRE', 'long', '100'],
    ['FLUSHDB'],
    ['SWAPDB', '0', '1'],
  ])('keep them as they were before %s', async (...command) => {
    const text = 'x'.repeat(3 * MIB)
    await client.call('SET', 'long', text)
    await client.call('SET', 'small', 'value')
    const digest = await client.call('DEBUG', 'DIGEST')
    const started = client.call('BGSAVE')
    const changed = client.call(...command)
    expect(await started).toEqual({ status: 'Background saving started' })
    await changed
    await saved(client)
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE')).toEqual({ status: 'OK' })
    expect(await client.call('DEBUG', 'DIGEST')).toEqual(digest)
    expect(await client.call('GET', 'long')).toBe(text)
    const { arena } = broker.server.keyspace
    expect(broker.server.keyspace.account()).toEqual({ bytes: arena.liveBytes, blocks: arena.liveBlocks })
  })
})

/** Waits until no snapshot is being written. */
async function saved(client: RespClient): Promise<void> {
  for (;;) {
    const info = await client.call('INFO', 'persistence')
    if (String(info).includes('rdb_bgsave_in_progress:0')) return
  }
}
