/** What V8 is told, seen by its natives, in a process of its own. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const LIBRARY = new URL('../../src/index.ts', import.meta.url).href

const PROGRAM = `
const isFast = new Function('return %HasFastProperties(String.prototype)')
const seen = []
eval('(class extends String {})')
seen.push(isFast())
const { createBroker } = await import('${LIBRARY}')
const broker = await createBroker()
seen.push(isFast())
await broker.close()
console.log(JSON.stringify(seen))
`

test('methods of strings are fast in a broker, although a class of a client library extends String', () => {
  const output = execFileSync(process.execPath, ['--allow-natives-syntax', '--input-type=module', '-e', PROGRAM], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 20_000,
  })
  expect(JSON.parse(output)).toEqual([false, true])
})
