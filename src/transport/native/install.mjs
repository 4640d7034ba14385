/**
 * Builds the native transport at the installation, where there is a compiler. Without one the installation succeeds all
 * the same, with one line that says so: sockets are served by node:net then. Plain JavaScript, for any Node that runs npm.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sources from './sources.cjs'

const BUILD_MS_MAX = 180_000
const folder = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname)

if (process.platform === 'linux') {
  const problem = build()
  if (problem !== null) console.log(`The native transport was not built (${problem}): sockets are served by node:net`)
}

/** Returns what went wrong, or null. */
function build() {
  const nodeGyp = process.env.npm_config_node_gyp
  if (nodeGyp === undefined) return 'npm has not said where node-gyp is'
  const args = [nodeGyp, 'rebuild', '-C', folder]
  // The interface is the same for all versions of Node, so headers that are here need not be fetched.
  const prefix = join(dirname(process.execPath), '..')
  if (existsSync(join(prefix, 'include', 'node', 'node_api.h'))) args.push(`--nodedir=${prefix}`)
  // For the tests under AddressSanitizer (.ci/asan).
  if (process.env.MILLRACE_SANITIZE === '1') args.push('--', '-Dsanitizes=1')
  const { status, error, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: BUILD_MS_MAX })
  if (error !== undefined) return error.message
  if (status !== 0) return reasonIn(stderr)
  sources.noteSources()
  return null
}

/** The line of node-gyp's output that says most. */
function reasonIn(output) {
  const lines = output.split('\n').map((line) => line.replace(/^gyp ERR! /, '').trim())
  const told = lines.find((line) => line.startsWith('stack Error')) ?? lines.find((line) => /error/i.test(line))
  return (told ?? 'node-gyp failed').replace(/^stack /, '')
}
