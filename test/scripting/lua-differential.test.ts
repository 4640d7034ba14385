/** The Lua engine beside a real redis-server: the raw reply of each snippet is the same. Skipped without redis-server. */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { snippets } from './lua-snippets.ts'
import { LocalEval, ReferenceEval } from './resp-eval.ts'

const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0
const local = new LocalEval()

describe.skipIf(!hasRedisServer)('Lua scripts reply what redis-server replies', () => {
  let reference: ReferenceEval

  beforeAll(async () => {
    reference = await ReferenceEval.start()
  })

  afterAll(async () => {
    await reference.stop()
  })

  for (const [group, scripts] of Object.entries(snippets)) {
    test(group, async () => {
      const expected: Record<string, string> = {}
      const actual: Record<string, string> = {}
      const again: Record<string, string> = {}
      for (const script of scripts) {
        expected[script] = await reference.command('EVAL', script, '0')
        actual[script] = local.run(script)
        // The second run is that of another form: what runs again is compiled for speed.
        again[script] = local.run(script)
      }
      expect(actual).toEqual(expected)
      expect(again).toEqual(expected)
    })
  }
})

describe('BullMQ', () => {
  test('all scripts compile', () => {
    const folder = join(import.meta.dirname, '../../node_modules/bullmq/dist/cjs/scripts')
    let count = 0
    for (const file of readdirSync(folder)) {
      const start = '\nconst content = `'
      const text = readFileSync(join(folder, file), 'latin1')
      const at = text.indexOf(start)
      if (!file.endsWith('.js') || at < 0) continue
      const source = text.slice(at + start.length, text.indexOf('`;', at))
      expect(() => local.engine.load(source), file).not.toThrow()
      count++
    }
    expect(count).toBeGreaterThan(50)
  })
})
