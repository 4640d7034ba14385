/** Where snapshots go: settings that change meanwhile, and brokers that share a directory. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/server-process.ts'
import { BrokerInProcess } from './support/broker-in-process.ts'

const STARTED = { status: 'Background saving started' }
const OK = { status: 'OK' }
const SETTINGS = { options: { 'enable-protected-configs': 'yes' } } as const

let directory = ''
const brokers: BrokerInProcess[] = []

beforeEach(() => {
  directory = temporaryDirectory()
})

afterEach(async () => {
  for (const broker of brokers.splice(0)) await broker.close()
  rmSync(directory, { recursive: true })
})

async function start(): Promise<BrokerInProcess> {
  const broker = await BrokerInProcess.start(directory, SETTINGS)
  brokers.push(broker)
  return broker
}

test.each([
  ['dir', 'elsewhere'],
  ['dbfilename', 'other.rdb'],
  ['dbfilename', ''],
])('BGSAVE writes the file that was set when it began, whatever %s is set to meanwhile (%j)', async (name, value) => {
  const broker = await start()
  const client = broker.connect()
  const elsewhere = join(directory, 'elsewhere')
  mkdirSync(elsewhere)
  await client.call('SET', 'a', '1')
  expect(await client.call('BGSAVE')).toEqual(STARTED)
  expect(await client.call('CONFIG', 'SET', name, value === 'elsewhere' ? elsewhere : value)).toEqual(OK)
  await broker.untilQuiet()
  expect(broker.server.saving.isLastOk).toBe(true)
  expect(readdirSync(directory).sort()).toEqual(['dump.rdb', 'elsewhere'])
  expect(readdirSync(elsewhere)).toEqual([])
})

test('two brokers of one process that save into one directory leave the whole file of one of them', async () => {
  const first = await start()
  const second = await start()
  const clients = [first.connect(), second.connect()]
  const values = ['x', 'y'].map((letter) => letter.repeat(100))
  for (const [n, client] of clients.entries()) {
    await client.call('EVAL', "for i = 0, 19999 do redis.call('SET', 'key:' .. i, ARGV[1]) end", '0', values[n]!)
    expect(await client.call('CONFIG', 'SET', 'rdbcompression', 'no')).toEqual(OK)
  }
  expect(await Promise.all(clients.map((client) => client.call('BGSAVE')))).toEqual([STARTED, STARTED])
  await first.untilQuiet()
  await second.untilQuiet()
  expect([first.log.warnings, second.log.warnings]).toEqual([[], []])
  expect(existsSync(join(directory, 'dump.rdb'))).toBe(true)
  const reader = (await start()).connect()
  expect(await reader.call('DBSIZE')).toBe(20_000)
  expect(values).toContain(await reader.call('GET', 'key:0'))
})
