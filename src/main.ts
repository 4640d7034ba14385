/**
 * Process entry: `node src/main.ts [path/to/redis.conf | -] [--directive value …]`.
 *
 * This file must load on every Node: it checks the version before anything that an older one cannot parse.
 */
const NODE_MIN_MAJOR = 22
const NODE_MIN_MINOR = 18

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < NODE_MIN_MAJOR || (major === NODE_MIN_MAJOR && minor < NODE_MIN_MINOR)) {
  process.stderr.write(`Millrace needs Node ${NODE_MIN_MAJOR}.${NODE_MIN_MINOR} or newer, this is ${process.versions.node}: start it with "npm start", which uses the Node pinned in package.json\n`)
  process.exit(1)
}
const { runProcess } = await import('./server/process.ts')
await runProcess(process.argv.slice(2))

export {}
