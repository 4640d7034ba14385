import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import type { RespClient } from '../support/resp-client.ts'

test('SAVE during a rewrite of the log puts it off; both files hold everything', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-save-during-rewrite-'))
  const broker = await TestBroker.start({ dir: directory, appendonly: 'yes', 'rdb-key-save-delay': '1000000' })
  try {
    const client = await broker.connect()
    for (let i = 0; i < 10; i++) await client.call('SET', `key:${i}`, String(i))
    await client.call('BGREWRITEAOF')
    await client.call('SET', 'during', 'rewrite')
    expect(await persistence(client, 'aof_rewrite_in_progress')).toBe('1')
    expect(await client.call('SAVE')).toEqual({ status: 'OK' })
    expect(await isRewriting(client)).toBe(true)
    await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    const digest = await client.call('DEBUG', 'DIGEST')

    while (await isRewriting(client)) await client.call('PING')
    expect(await persistence(client, 'aof_last_bgrewrite_status')).toBe('ok')
    expect(await client.call('DEBUG', 'LOADAOF')).toEqual({ status: 'OK' })
    expect(await client.call('DEBUG', 'DIGEST')).toEqual(digest)
    expect(await client.call('DEBUG', 'RELOAD', 'NOSAVE')).toEqual({ status: 'OK' })
    expect(await client.call('DEBUG', 'DIGEST')).toEqual(digest)
  } finally {
    await broker.stop()
    rmSync(directory, { recursive: true })
  }
})

/** Whether a rewrite is under way, or will be. */
async function isRewriting(client: RespClient): Promise<boolean> {
  const info = String(await client.call('INFO', 'persistence'))
  return info.includes('aof_rewrite_scheduled:1') || info.includes('aof_rewrite_in_progress:1')
}

async function persistence(client: RespClient, field: string): Promise<string> {
  const info = String(await client.call('INFO', 'persistence'))
  return new RegExp(`^${field}:(.*)\r$`, 'm').exec(info)![1]!
}
