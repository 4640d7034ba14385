/**
 * SIGKILL under load: eight writers with transactions, and pipelines, while the log is rewritten and snapshots are written
 * all the time; after each restart nothing that was answered is missing and no transaction is torn.
 *
 * MILLRACE_KILLS sets the number of rounds per policy.
 */
import { rmSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { RespClient } from '../support/resp-client.ts'
import { ServerProcess, temporaryDirectory } from '../support/server-process.ts'

const ROUNDS = Number(process.env.MILLRACE_KILLS ?? 4)
const WRITERS = 8
const PIPELINE = 10
/** Between two wishes for a rewrite or a snapshot. */
const WISH_MS_MAX = 12
const RUN_MS_MIN = 60
const RUN_MS_SPREAD = 500

let server: ServerProcess | null = null
let directory = ''

afterEach(async () => {
  await server?.dispose()
  server = null
  rmSync(directory, { recursive: true, force: true })
})

/** Writes numbered transactions until the connection breaks. Returns the number of the last one that was answered. */
async function writeTransactions(client: RespClient, writer: number, from: number): Promise<number> {
  let answered = from
  for (;;) {
    const n = String(answered + 1)
    try {
      const replies = await client.pipeline([
        ['MULTI'],
        ['INCR', `count:${writer}`],
        ['XADD', `stream:${writer}`, `${n}-1`, 'n', n],
        ['RPUSH', `list:${writer}`, n],
        ['HSET', `hash:${writer}`, n, n],
        ['ZADD', `zset:${writer}`, n, n],
        ['EXEC'],
      ])
      if (!Array.isArray(replies[6])) throw new Error(`EXEC replied ${JSON.stringify(replies[6])}`)
    } catch (error) {
      if (error instanceof Error && /closed|ECONNRESET|EPIPE/.test(error.message)) return answered
      throw error
    }
    answered++
  }
}

/** Increments by pipelines until the connection breaks. Returns the highest value that was answered. */
async function writePipelines(client: RespClient, from: number): Promise<number> {
  let answered = from
  for (;;) {
    try {
      const replies = await client.pipeline(Array.from({ length: PIPELINE }, () => ['INCR', 'pipelined']))
      answered = Number(replies.at(-1))
    } catch (error) {
      if (error instanceof Error && /closed|ECONNRESET|EPIPE/.test(error.message)) return answered
      throw error
    }
  }
}

/** Asks for rewrites and snapshots until the connection breaks. Returns how many were begun. */
async function writeFiles(client: RespClient): Promise<number> {
  let begun = 0
  for (;;) {
    try {
      const replies = await client.pipeline([['BGREWRITEAOF'], ['BGSAVE', 'SCHEDULE']])
      begun += replies.filter((reply) => JSON.stringify(reply).includes('started')).length
      await new Promise((resolve) => setTimeout(resolve, Math.random() * WISH_MS_MAX))
    } catch (error) {
      if (error instanceof Error && /closed|ECONNRESET|EPIPE/.test(error.message)) return begun
      throw error
    }
  }
}

/** Bases of both formats come in turn; the log is also rewritten when it has grown by a tenth. */
function argumentsOf(policy: string, round: number): string[] {
  const growth = ['--auto-aof-rewrite-percentage', '10', '--auto-aof-rewrite-min-size', '16kb']
  const base = ['--aof-use-rdb-preamble', round % 2 === 0 ? 'yes' : 'no']
  return ['--appendonly', 'yes', '--appendfsync', policy, '--save', '1 100', ...growth, ...base]
}

for (const policy of ['always', 'everysec'] as const) {
  describe(`appendfsync ${policy}`, () => {
    test(
      `${ROUNDS} kills lose nothing that was answered and tear no transaction`,
      async () => {
        directory = temporaryDirectory()
        const answered: number[] = Array.from({ length: WRITERS }, () => 0)
        let pipelined = 0
        let total = 0
        let filesBegun = 0
        server = await ServerProcess.millrace(argumentsOf(policy, 0), directory)
        for (let round = 0; round < ROUNDS; round++) {
          const current = server
          const clients = await Promise.all(Array.from({ length: WRITERS + 2 }, () => current.connect()))
          const writers = answered.map((from, w) => writeTransactions(clients[w]!, w, from))
          const pipeline = writePipelines(clients[WRITERS]!, pipelined)
          const files = writeFiles(clients[WRITERS + 1]!)
          await new Promise((resolve) => setTimeout(resolve, RUN_MS_MIN + Math.random() * RUN_MS_SPREAD))
          await current.kill()
          const results = await Promise.all(writers)
          const pipelinedResult = await pipeline
          filesBegun += await files

          server = await ServerProcess.millrace(argumentsOf(policy, round + 1), directory)
          const client = await server.connect()
          for (let w = 0; w < WRITERS; w++) {
            const [count, entries, elements, fields, members] = await client.pipeline([
              ['GET', `count:${w}`],
              ['XLEN', `stream:${w}`],
              ['LLEN', `list:${w}`],
              ['HLEN', `hash:${w}`],
              ['ZCARD', `zset:${w}`],
            ])
            const found = Number(count ?? 0)
            expect([entries, elements, fields, members]).toEqual([found, found, found, found])
            // One transaction may have been executed whose answer did not arrive.
            expect(found - results[w]!, `writer ${w}: ${found} found, ${results[w]} answered`).toBeOneOf([0, 1])
            answered[w] = found
            total += found
          }
          const found = Number((await client.call('GET', 'pipelined')) ?? 0)
          expect(found).toBeGreaterThanOrEqual(pipelinedResult)
          expect(found).toBeLessThanOrEqual(pipelinedResult + PIPELINE)
          pipelined = found
          client.close()
        }
        expect(total).toBeGreaterThan(0)
        expect(filesBegun).toBeGreaterThan(0)
      },
      ROUNDS * 8000 + 20_000,
    )
  })
}
