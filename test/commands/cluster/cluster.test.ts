/** What clients hear of a cluster that there is not. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { clusterCommands } from '../../../src/commands/cluster/index.ts'
import { TestBroker } from '../../support/broker.ts'
import type { RespClient } from '../../support/resp-client.ts'

const DISABLED = { error: 'ERR This instance has cluster support disabled' }

let broker: TestBroker
let a: RespClient

beforeEach(async () => {
  broker = await TestBroker.start()
  a = await broker.connect()
})

afterEach(() => broker.stop())

test('ASKING, READONLY, READWRITE and all of CLUSTER say that cluster support is disabled', async () => {
  for (const { name, subcommands } of clusterCommands) {
    for (const { name: sub, arity } of subcommands ?? []) {
      const words = Array.from({ length: Math.abs(arity) - 2 }, () => '1')
      expect(await a.call(name, sub, ...words)).toEqual(DISABLED)
    }
    if (subcommands === undefined) expect(await a.call(name)).toEqual(DISABLED)
  }
  expect(await a.call('CLUSTER', 'HELP')).toEqual(DISABLED)
})

test('the arity and the name of a subcommand are looked at first', async () => {
  expect(await a.call('CLUSTER')).toEqual({ error: "ERR wrong number of arguments for 'cluster' command" })
  expect(await a.call('CLUSTER', 'KEYSLOT')).toEqual({
    error: "ERR wrong number of arguments for 'cluster|keyslot' command",
  })
  expect(await a.call('CLUSTER', 'NOSUCH')).toEqual({ error: "ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP." })
})

test('RESTORE-ASKING restores like RESTORE', async () => {
  await a.call('SET', 'k', 'value')
  const payload = String(await a.call('DUMP', 'k'))
  expect(await a.call('RESTORE-ASKING', 'copy', '0', payload)).toEqual({ status: 'OK' })
  expect(await a.call('GET', 'copy')).toBe('value')
  expect(await a.call('RESTORE-ASKING', 'copy', '0', payload)).toEqual({
    error: 'BUSYKEY Target key name already exists.',
  })
})
