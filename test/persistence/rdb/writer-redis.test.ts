/** What is written here, to files and payloads, with every type and in every encoding, is read by redis-server. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Keyspace } from '../../../src/keyspace/keyspace.ts'
import { AofFormat } from '../../../src/persistence/aof-format.ts'
import { RdbFinisher } from '../../../src/persistence/rdb/finish.ts'
import { RdbFormat } from '../../../src/persistence/rdb/rdb-format.ts'
import { RecordBuffer } from '../../../src/persistence/rdb/record-buffer.ts'
import { isBigValue, type SnapshotFormat } from '../../../src/persistence/snapshot-format.ts'
import { TestBroker } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'
import { hasRedisServer, ServerProcess } from '../../support/server-process.ts'
import { fill, leaked, loadFile, state } from './reference-data.ts'

const LIBRARY = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
/** Bytes of a step: a few elements. */
const STEP_BYTES = 700

/** The records of all keys, big ones in steps. */
function records(keyspace: Keyspace, format: SnapshotFormat, functions: readonly string[]): RecordBuffer {
  const out = new RecordBuffer()
  format.header(out, {
    nowMs: 1_700_000_000_000,
    usedMemory: 12_345_678,
    isAofBase: false,
    hasFieldTimes: false,
    functions,
  })
  for (const db of keyspace.databases) {
    if (db.keys.size === 0) continue
    format.database(out, db.index, db.keys.size, db.expires.size)
    for (let row = 0; row < db.keys.size; row++) {
      if (!isBigValue(db, row)) {
        format.value(out, db, row)
        continue
      }
      const record = format.big(out, db, row)
      while (!record.step(out, STEP_BYTES));
      record.close()
    }
  }
  format.footer(out)
  return out
}

function writeRdb(path: string, keyspace: Keyspace, version: number, functions: readonly string[]): void {
  const out = records(keyspace, new RdbFormat(keyspace.arena, version), functions)
  const finisher = new RdbFinisher({ compresses: true, checksums: true })
  const bytes = finisher.finish(out.bytes, 0, out.length, out.marks, out.markCount, Buffer.alloc(0))
  const body = Buffer.from(bytes.subarray(0, finisher.outLength))
  const trailer = Buffer.alloc(8)
  writeFileSync(path, Buffer.concat([body, trailer.subarray(0, finisher.trailer(trailer))]))
}

/** Streams cannot be written in versions below 9. */
async function removeStreams(client: RespClient): Promise<void> {
  const keys = await client.call('KEYS', 'stream*')
  if (Array.isArray(keys)) for (const key of keys) await client.call('DEL', String(key))
}

async function pendingGroups(client: RespClient, key: string): Promise<string[]> {
  const groups = await client.call('XINFO', 'GROUPS', key)
  return Array.isArray(groups) ? groups.map((group) => String((group as unknown[])[1])) : []
}

describe.skipIf(!hasRedisServer)('redis-server', () => {
  const directory = mkdtempSync(join(tmpdir(), 'rdb-writer-'))
  let broker: TestBroker
  let client: RespClient
  beforeAll(async () => {
    broker = await TestBroker.start()
    client = await broker.connect()
    await fill(client)
    await client.call('RPUSH', 'list:plain', 'a', 'x'.repeat(200_000), 'b', '1', 'y'.repeat(70_000))
    await client.call('HSET', 'hash:wide', 'a', '1', 'b', 'z'.repeat(100))
    await client.call('SELECT', '3')
    await client.call('SET', 'in another database', '1')
    await client.call('SELECT', '0')
  })
  afterAll(async () => {
    await broker.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test.each([10, 9, 8, 7, 6])('loads our file of version %i with the same content', async (version) => {
    if (version < 9) await removeStreams(client)
    writeRdb(join(directory, 'dump.rdb'), broker.server.keyspace, version, version >= 10 ? [LIBRARY] : [])
    expect(execFileSync('redis-check-rdb', [join(directory, 'dump.rdb')]).toString()).toContain('RDB looks OK')
    const redis = await ServerProcess.redis(['--enable-debug-command', 'yes'], directory)
    const target = await redis.connect()
    expect(await target.call('DEBUG', 'DIGEST')).toEqual(await client.call('DEBUG', 'DIGEST'))
    const theirs = await state(target)
    const ours = await state(client)
    // Version 9 keeps neither counters nor first IDs of streams.
    if (version >= 10) expect(theirs).toEqual(ours)
    if (version >= 10) expect(await target.call('FUNCTION', 'LIST')).toHaveLength(1)
    target.close()
    await redis.kill()

    const reader = await TestBroker.start()
    loadFile(reader.server.keyspace, join(directory, 'dump.rdb'))
    const again = await reader.connect()
    expect(await again.call('DEBUG', 'DIGEST')).toEqual(await client.call('DEBUG', 'DIGEST'))
    expect(leaked(reader.server.keyspace)).toEqual({ bytes: 0, blocks: 0 })
    await reader.stop()
  }, 30_000)

  test('loads our base of an append-only file made of commands', async () => {
    await client.call('FLUSHALL')
    await fill(client)
    // What is pending of deleted entries has no command that would make it.
    for (const group of await pendingGroups(client, 'stream:big')) {
      for (let i = 100; i < 350; i += 3) await client.call('XACK', 'stream:big', group, `${i + 1}-${i}`)
    }
    const logs = join(directory, 'appendonlydir')
    mkdirSync(logs)
    const out = records(broker.server.keyspace, new AofFormat(broker.server.keyspace.arena), [LIBRARY])
    writeFileSync(join(logs, 'appendonly.aof.1.base.aof'), out.bytes.subarray(0, out.length))
    writeFileSync(join(logs, 'appendonly.aof.manifest'), 'file appendonly.aof.1.base.aof seq 1 type b\n')
    const redis = await ServerProcess.redis(['--enable-debug-command', 'yes', '--appendonly', 'yes'], directory)
    const target = await redis.connect()
    expect(await target.call('DEBUG', 'DIGEST')).toEqual(await client.call('DEBUG', 'DIGEST'))
    expect(await state(target)).toEqual(await state(client))
    expect(await target.call('FUNCTION', 'LIST')).toHaveLength(1)
    target.close()
    await redis.kill()
  }, 30_000)

  test('takes the payloads of our DUMP', async () => {
    await client.call('FLUSHALL')
    await fill(client)
    const redis = await ServerProcess.redis(['--enable-debug-command', 'yes', '--sanitize-dump-payload', 'yes'])
    const target = await redis.connect()
    const keys = await client.call('KEYS', '*')
    if (!Array.isArray(keys)) throw new Error('No keys')
    for (const key of keys) {
      const payload = await client.call('DUMP', String(key))
      const time = Number(await client.call('PEXPIRETIME', String(key)))
      const reply = await target.call('RESTORE', String(key), String(Math.max(time, 0)), String(payload), 'ABSTTL')
      expect([key, reply]).toEqual([key, { status: 'OK' }])
    }
    expect(await state(target)).toEqual(await state(client))
    target.close()
    await redis.dispose()
  }, 30_000)
})

describe('DUMP', () => {
  test('replies nil for a missing key, and an error for a stream in a version that has none', async () => {
    const broker = await TestBroker.start()
    const client = await broker.connect()
    expect(await client.call('DUMP', 'none')).toBeNull()
    await client.call('XADD', 's', '1-1', 'a', 'b')
    await client.call('CONFIG', 'SET', 'rdb-version', '8')
    expect(await client.call('DUMP', 's')).toEqual({
      error: 'ERR Cannot write streams in RDB version 8: set rdb-version to 9 or more',
    })
    await client.call('CONFIG', 'SET', 'rdb-version', '11')
    expect(String(await client.call('DUMP', 's')).slice(0, 1)).toBe('\x15')
    await client.call('SADD', 'set', 'a')
    expect(String(await client.call('DUMP', 'set')).slice(0, 1)).toBe('\x14')
    expect(await client.call('CONFIG', 'SET', 'rdb-version', '12')).toEqual({
      error:
        "ERR CONFIG SET failed (possibly related to argument 'rdb-version') - argument must be between 6 and 11 inclusive",
    })
    await broker.stop()
  })
})
