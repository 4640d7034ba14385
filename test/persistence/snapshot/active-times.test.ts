import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TestBroker, TestClock } from '../../support/broker.ts'

describe('the times at which consumers were seen and active', () => {
  let directory: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-active-times-'))
  })

  afterEach(() => rmSync(directory, { recursive: true }))

  it.each(['9', '10', '11'])('survive in a snapshot of version %s', async (version) => {
    const clock = new TestClock()
    const broker = await TestBroker.start({ dir: directory, 'rdb-version': version }, clock)
    const client = await broker.connect()
    await client.call('XADD', 's', '1-1', 'f', 'v')
    await client.call('XGROUP', 'CREATE', 's', 'g', '0')
    await client.call('XGROUP', 'CREATECONSUMER', 's', 'g', 'never')
    await client.call('XREADGROUP', 'GROUP', 'g', 'busy', 'STREAMS', 's', '>')
    clock.pass(5000)
    // Seen, but nothing was there to be delivered.
    await client.call('XREADGROUP', 'GROUP', 'g', 'busy', 'STREAMS', 's', '>')
    clock.pass(1000)
    const before = await client.call('XINFO', 'CONSUMERS', 's', 'g')
    expect(before).toEqual([
      ['name', 'busy', 'pending', 1, 'idle', 1000, 'inactive', 6000],
      ['name', 'never', 'pending', 0, 'idle', 6000, 'inactive', -1],
    ])
    expect(await client.call('DEBUG', 'RELOAD')).toEqual({ status: 'OK' })
    expect(await client.call('XINFO', 'CONSUMERS', 's', 'g')).toEqual(before)
    await broker.stop()
  })
})
