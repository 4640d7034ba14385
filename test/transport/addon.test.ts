/** Addons that were built of other sources than those that are here. */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/server-process.ts'

const NATIVE = fileURLToPath(new URL('../../src/transport/native/', import.meta.url))

let folder: string
let sources: { isUpToDate(): boolean; noteSources(): void }

beforeAll(() => {
  folder = temporaryDirectory()
  for (const name of ['binding.gyp', 'epoll.cc', 'heap.cc', 'sync.cc', 'sources.cjs'])
    cpSync(join(NATIVE, name), join(folder, name))
  mkdirSync(join(folder, 'build', 'Release'), { recursive: true })
  sources = createRequire(import.meta.url)(join(folder, 'sources.cjs'))
})

afterAll(() => rmSync(folder, { recursive: true }))

test('are told from those of these sources', () => {
  expect(() => sources.isUpToDate()).toThrow('ENOENT')
  sources.noteSources()
  expect(sources.isUpToDate()).toBe(true)
  writeFileSync(join(folder, 'epoll.cc'), '// newer')
  expect(sources.isUpToDate()).toBe(false)
})
