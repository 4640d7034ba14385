import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** A Node in PATH that cannot run TypeScript, as many machines have one beside the pinned Node; null without one. */
function findOldNode(): string | null {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const node = join(directory, 'node')
    const version = /^v(\d+)\.(\d+)/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout ?? '')
    if (version === null) continue
    const [major, minor] = [Number(version[1]), Number(version[2])]
    if (major < 22 || (major === 22 && minor < 18)) return node
  }
  return null
}

function run(node: string, args: readonly string[], nodeArgs: readonly string[] = []) {
  return spawnSync(node, [...nodeArgs, 'src/main.ts', ...args], { cwd: ROOT, encoding: 'utf8', timeout: 15_000 })
}

/** A module for `--import`. */
function moduleOf(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`
}

test('an old Node says in one line what to do and ends with 1', (context) => {
  const oldNode = findOldNode()
  if (oldNode === null) return context.skip('there is no Node before 22.18 in PATH')
  const { status, stdout, stderr } = run(oldNode, [])
  expect(stderr).toMatch(/^Millrace needs Node 22\.18 or newer, this is \d+\.\d+\.\d+: start it with "npm start".*\n$/)
  expect(stdout).toBe('')
  expect(status).toBe(1)
})

test('the pinned Node runs src/main.ts without warnings', () => {
  const { status, stdout, stderr } = run(process.execPath, ['--version'])
  expect(stdout).toMatch(/^Millrace server, compatible with Redis v=7\.2/)
  expect(stderr).toBe('')
  expect(status).toBe(0)
})

test('hooks for modules that others register do not keep it from starting, nor are they kept from other modules', () => {
  const hooks = 'export const load = (url, context, next) => next(url, context)'
  const asynchronous = moduleOf(`import { register } from 'node:module'; register(${JSON.stringify(moduleOf(hooks))})`)
  const synchronous = moduleOf(`
    import { registerHooks } from 'node:module'
    const seen = []
    registerHooks({ load: (url, context, next) => { seen.push(url); return next(url, context) } })
    process.on('exit', () => process.stdout.write(String(seen.some((url) => url.includes('/pino/')))))`)
  const { status, stdout } = run(process.execPath, ['--version'], ['--import', synchronous, '--import', asynchronous])
  expect(stdout).toMatch(/^Millrace server.*\ntrue$/)
  expect(status).toBe(0)
})
