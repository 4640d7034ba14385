/** What runs is what the sources say, whether it is bundled or not. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/server-process.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const VERSION = 'src/config/version.ts'

let checkout: string

beforeEach(() => {
  checkout = temporaryDirectory()
  for (const name of ['src', 'workers', 'package.json']) {
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true, verbatimSymlinks: true })
  }
})

afterEach(() => {
  chmodSync(checkout, 0o755)
  rmSync(checkout, { recursive: true, force: true })
})

/** Gives the copy the packages that are installed here. */
function install({ isWithoutBundler = false } = {}): void {
  mkdirSync(join(checkout, 'node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (isWithoutBundler && name === 'rolldown') continue
    symlinkSync(join(ROOT, 'node_modules', name), join(checkout, 'node_modules', name))
  }
}

function version(): string {
  const { stdout, stderr } = spawnSync(process.execPath, ['src/main.ts', '--version'], {
    cwd: checkout,
    encoding: 'utf8',
  })
  return `${stdout}${stderr}`
}

/** The version that the copy shows becomes this one. */
function edit(shown: string): void {
  const text = readFileSync(join(checkout, VERSION), 'utf8')
  writeFileSync(join(checkout, VERSION), text.replace(/REDIS_VERSION = '[^']*'/, `REDIS_VERSION = '${shown}'`))
}

function bundles(): string[] {
  return readdirSync(join(checkout, 'dist'))
}

test('an edit is run by the next start, and going back runs what was bundled before', () => {
  install()
  edit('9.8.7')
  expect(version()).toContain('v=9.8.7')
  expect(bundles().length).toBe(1)
  // The size of the file stays.
  edit('9.8.6')
  expect(version()).toContain('v=9.8.6')
  const both = bundles()
  expect(both.length).toBe(2)
  edit('9.8.7')
  expect(version()).toContain('v=9.8.7')
  expect(bundles()).toEqual(both)
})

test('processes that start at once after an edit make one bundle', async () => {
  install()
  const started = [1, 2, 3].map(() => {
    const child = spawn(process.execPath, ['src/main.ts', '--version'], { cwd: checkout, stdio: 'pipe' })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    return once(child, 'close').then(() => output)
  })
  for (const output of await Promise.all(started)) expect(output).toContain('v=7.2')
  expect(bundles().length).toBe(1)
})

test('without development dependencies the sources run as they are', () => {
  install({ isWithoutBundler: true })
  expect(version()).toContain('v=7.2')
  expect(readdirSync(checkout)).not.toContain('dist')
  const options = { cwd: checkout, encoding: 'utf8' } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, ['src/boot/build.mjs', '--if-possible'], options)
  expect(stdout).toMatch(/^No bundle was made \(.*rolldown.*\): the sources run as they are\n$/)
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

test('a checkout that cannot be written runs its sources as they are', (context) => {
  // Root may write everywhere.
  if (process.getuid?.() === 0) return context.skip('this is run by root')
  install()
  chmodSync(checkout, 0o555)
  expect(version()).toContain('v=7.2')
  expect(readdirSync(checkout)).not.toContain('dist')
})

test('a mistake in the sources is shown with its place', () => {
  install()
  appendFileSync(join(checkout, VERSION), 'const = 1\n')
  expect(version()).toMatch(/src\/config\/version\.ts:\d+\n(.*\n)*.*SyntaxError/)
  expect(bundles()).toEqual([])
})

test('what cannot be read among the sources does not keep the server from starting', () => {
  install()
  // Some editors keep such a link, which leads nowhere, beside a file that is being edited.
  symlinkSync('me@host.1', join(checkout, 'src/config/.#version.ts'))
  expect(version()).toContain('v=7.2')
  rmSync(join(checkout, 'src/config/.#version.ts'))
  rmSync(join(checkout, 'workers'), { recursive: true })
  expect(version()).toContain('v=7.2')
})

test('a server whose bundle was removed writes snapshots and ends', async () => {
  install()
  const socket = join(checkout, 's')
  const options = `--port 0 --http-port 0 --appendonly no --unixsocket ${socket} --dir ${checkout}`
  const server = spawn(process.execPath, ['src/main.ts', ...options.split(' '), '--save', '3600 1'], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await untilWritten(server.stdout, 'Ready to accept connections')
    rmSync(join(checkout, 'dist'), { recursive: true })
    const saved = untilWritten(server.stdout, 'Background saving terminated with success')
    const client = connect(socket)
    client.write('SET key value\r\nBGSAVE\r\n')
    await saved
    client.destroy()
    server.kill('SIGTERM')
    const [code] = (await once(server, 'exit')) as [number | null]
    expect(code).toBe(0)
  } finally {
    server.kill('SIGKILL')
  }
  expect(readFileSync(join(checkout, 'dump.rdb'), 'latin1')).toContain('value')
})

/** Rejects when the process ends before it has written the text. */
function untilWritten(output: Readable, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let written = ''
    output.on('data', (chunk) => {
      written += String(chunk)
      if (written.includes(text)) resolve()
    })
    output.once('end', () => reject(new Error(written)))
  })
}
