/** The launch contract: what command line, files and signals do, with exit codes, as at redis-server. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RawConnection } from '../support/raw-connection.ts'
import { encodeCommand, RespClient } from '../support/resp-client.ts'
import { freePort, temporaryDirectory } from '../support/server-process.ts'
import { Launched } from './launched.ts'

const OK = { status: 'OK' }
let directory: string
let port: number
let launched: Launched[] = []

beforeEach(async () => {
  directory = temporaryDirectory()
  port = await freePort()
})

afterEach(async () => {
  for (const process of launched) if (!process.hasExited) process.signal('SIGKILL')
  await Promise.all(launched.map((process) => process.exit()))
  launched = []
  rmSync(directory, { recursive: true, force: true })
})

/** Starts with any arguments; a server without a gateway, which all would want on one port. */
function launch(args: readonly string[], stdin: string | null = null): Launched {
  const at = args.indexOf('--port')
  const process = new Launched(at < 0 ? args : args.toSpliced(at, 0, '--http-port', '0'), stdin)
  launched.push(process)
  return process
}

/** Starts on the test's port and directory. */
function serve(...args: string[]): Promise<Launched> {
  return launch(['--port', String(port), '--dir', directory, ...args]).ready()
}

async function withClient<T>(use: (client: RespClient) => Promise<T>): Promise<T> {
  const client = await RespClient.connect({ port })
  try {
    return await use(client)
  } finally {
    client.close()
  }
}

function writeConfig(name: string, ...lines: string[]): string {
  const path = join(directory, name)
  writeFileSync(path, `${['http-port 0', ...lines].join('\n')}\n`)
  return path
}

describe('configuration', () => {
  test('file, include, stdin and options are read in this order, the last one counts', async () => {
    const included = writeConfig('more.conf', 'maxclients 111', 'hz 20', 'timeout 5')
    const file = writeConfig('redis.conf', 'maxclients 100', `include ${included}`, `dir ${directory}`, 'appendonly no')
    await launch([file, '--port', String(port), '--timeout', '9', '-'], 'hz 30\ntimeout 7\n').ready()
    const values = await withClient((client) => client.call('CONFIG', 'GET', 'maxclients', 'hz', 'timeout'))
    expect(values).toEqual(expect.arrayContaining(['maxclients', '111', 'hz', '30', 'timeout', '9']))
  })

  test('save and rename-command may be repeated', async () => {
    const file = writeConfig(
      'redis.conf',
      `dir ${directory}`,
      'appendonly no',
      'rename-command KEYS ""',
      'rename-command GET FETCH',
    )
    await launch([file, '--port', String(port), '--save', '60', '1000', '--save', '300', '10']).ready()
    await withClient(async (client) => {
      expect(await client.call('SET', 'k', 'v')).toEqual(OK)
      expect(await client.call('FETCH', 'k')).toBe('v')
      expect(await client.call('GET', 'k')).toHaveProperty('error', expect.stringContaining("unknown command 'GET'"))
      expect(await client.call('KEYS', '*')).toHaveProperty('error', expect.stringContaining("unknown command 'KEYS'"))
      expect(await client.call('CONFIG', 'GET', 'save')).toEqual(['save', '60 1000 300 10'])
    })
  })

  const fatal: readonly (readonly [name: string, args: readonly string[], text: string])[] = [
    ['an unknown directive', ['--foo', 'bar'], `>>> 'foo "bar"'\nBad directive or wrong number of arguments`],
    ['a value that is no number', ['--port', 'abc'], `>>> 'port "abc"'\nargument couldn't be parsed into an integer`],
    ['a value out of range', ['--port', '65536'], `>>> 'port "65536"'\nargument must be between 0 and 65535 inclusive`],
    [
      'a value that is no choice',
      ['--appendonly', 'maybe'],
      `>>> 'appendonly "maybe"'\nargument must be 'yes' or 'no'`,
    ],
    ['a directory that does not exist', ['--dir', '/no/such'], `>>> 'dir "/no/such"'\nNo such file or directory`],
    [
      'a log file that cannot be opened',
      ['--logfile', '/no/such/log'],
      "Can't open the log file: No such file or directory",
    ],
    ['a rename of no command', ['--rename-command', 'NOSUCH', 'OTHER'], 'No such command in rename-command'],
  ]
  test.each(fatal)('%s is fatal, with its line, and exits with 1', async (_name, args, text) => {
    const process = launch(args)
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toContain('*** FATAL CONFIG FILE ERROR')
    expect(process.stderr).toContain(text)
    expect(process.stderr).not.toContain('    at ')
  })

  test('a configuration file that cannot be opened is fatal', async () => {
    const process = launch(['/no/such.conf'])
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toBe("Fatal error, can't open config file '/no/such.conf': No such file or directory\n")
  })

  test('CONFIG REWRITE keeps comments and is read back by the next start', async () => {
    const file = writeConfig(
      'redis.conf',
      '# mine',
      `port ${port}`,
      `dir ${directory}`,
      'appendonly no',
      'maxclients 50',
    )
    const first = await launch([file]).ready()
    await withClient(async (client) => {
      expect(await client.call('CONFIG', 'SET', 'maxclients', '60', 'timeout', '77')).toEqual(OK)
      expect(await client.call('CONFIG', 'REWRITE')).toEqual(OK)
    })
    first.signal('SIGTERM')
    expect(await first.exit()).toBe(0)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain('# mine\n')
    expect(text).toContain('maxclients 60\n')
    await launch([file]).ready()
    const values = await withClient((client) => client.call('CONFIG', 'GET', 'maxclients', 'timeout'))
    expect(values).toEqual(expect.arrayContaining(['maxclients', '60', 'timeout', '77']))
  })

  test('npm start -- --port N starts the server, and ends with it', async () => {
    const process = new Launched(['--port', String(port), '--dir', directory], null, ['npm', 'start', '--silent', '--'])
    launched.push(process)
    await process.ready()
    expect(await withClient((client) => client.call('SET', 'k', 'v'))).toEqual(OK)
    await withClient((client) => client.call('SHUTDOWN').catch(() => null))
    expect(await process.exit()).toBe(0)
  })
})

describe('endpoints and files', () => {
  test('a port that is taken is fatal, with a message, and exits with 1', async () => {
    const other = createServer().listen(port, '127.0.0.1')
    const process = launch(['--port', String(port), '--dir', directory])
    expect(await process.exit()).toBe(1)
    other.close()
    expect(process.stderr).toMatch(new RegExp(`^Failed listening on port ${port} \\(TCP\\).*EADDRINUSE`))
    expect(process.stderr).not.toContain('    at ')
    // What the failed start has left behind does not hinder the next one.
    await serve()
  })

  test('port 0 with a unix socket serves the socket alone, with its permissions; a stale one is replaced', async () => {
    const path = join(directory, 'millrace.sock')
    writeFileSync(path, 'stale')
    const process = await launch([
      '--port',
      '0',
      '--dir',
      directory,
      '--unixsocket',
      path,
      '--unixsocketperm',
      '700',
    ]).ready()
    expect(statSync(path).mode & 0o777).toBe(0o700)
    const client = await RespClient.connect({ path })
    expect(await client.call('PING')).toEqual({ status: 'PONG' })
    expect(await client.call('CLIENT', 'LIST')).toContain(`addr=${path}:0`)
    client.close()
    process.signal('SIGKILL')
    await process.exit()
    expect(existsSync(path)).toBe(true)
    const next = await launch(['--port', '0', '--dir', directory, '--unixsocket', path]).ready()
    const other = await RespClient.connect({ path })
    expect(await other.call('PING')).toEqual({ status: 'PONG' })
    other.close()
    next.signal('SIGTERM')
    expect(await next.exit()).toBe(0)
    expect(existsSync(path)).toBe(false)
  })

  test('a unix socket that cannot be opened is fatal', async () => {
    const process = launch(['--port', '0', '--dir', directory, '--unixsocket', '/no/such/socket'])
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toContain('Failed opening Unix socket /no/such/socket')
  })

  test('a data directory in which nothing can be created is fatal, with a message', async () => {
    writeFileSync(join(directory, 'appendonlydir'), 'a file in the way')
    const process = launch(['--port', String(port), '--dir', directory])
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toMatch(/ENOTDIR|EEXIST|Not a directory/)
    expect(process.stderr).not.toContain('    at ')
  })

  test('a lock that cannot be written is fatal, with its path, and no crash', async () => {
    const lock = join(directory, 'appendonlydir', 'appendonly.aof.lock')
    mkdirSync(lock, { recursive: true })
    const process = launch(['--port', String(port), '--dir', directory])
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toBe(`Cannot write the lock ${lock}: Is a directory\n`)
    expect(process.stdout).not.toContain('crashed')
  })

  test.skipIf(!existsSync('/proc/1'))('a directory of a read-only file system is fatal, with a message', async () => {
    const process = launch(['--port', String(port), '--dir', '/proc/1'])
    expect(await process.exit()).toBe(1)
    expect(process.stderr).toMatch(/EACCES|EPERM|ENOENT|EROFS|Permission denied|No such file|Read-only/)
  })

  test('pidfile and logfile are written below the data directory; the pidfile goes with the server', async () => {
    const process = launch(['--port', String(port), '--dir', directory, '--pidfile', 'my.pid', '--logfile', 'my.log'])
    const log = join(directory, 'my.log')
    await process.until(() => existsSync(log) && readFileSync(log, 'utf8').includes('Ready to accept connections'))
    await withClient((client) => client.call('PING'))
    expect(readFileSync(join(directory, 'my.pid'), 'utf8')).toBe(`${process.child.pid}\n`)
    expect(process.stdout).toBe('')
    process.signal('SIGTERM')
    expect(await process.exit()).toBe(0)
    expect(existsSync(join(directory, 'my.pid'))).toBe(false)
    expect(readFileSync(log, 'utf8')).toContain('bye bye')
  })

  test.runIf(process.platform === 'linux')('the process has the title of the template', async () => {
    const template = '{title} {port} {server-mode}'
    const server = await serve('--proc-title-template', template)
    const title = (): string => readFileSync(`/proc/${server.child.pid}/cmdline`, 'latin1').replaceAll('\0', '')
    await server.until(() => title() === `millrace ${port}`)
    await withClient(async (client) => {
      await client.call('CONFIG', 'SET', 'proc-title-template', 'x{{y {listen-addr}')
      expect(title()).toBe(`x{y ${await bound(client)}:${port}`)
    })
  })
})

/** The first address that the server listens on. */
async function bound(client: RespClient): Promise<string> {
  const [, addresses] = (await client.call('CONFIG', 'GET', 'bind')) as [string, string]
  return addresses.split(' ')[0]!
}

describe('two servers on one data directory', () => {
  test('the second one is refused and the log of the first stays whole', async () => {
    const first = await serve()
    await withClient((client) => client.call('SET', 'k', '1'))
    const linked = `${directory}-link`
    symlinkSync(directory, linked)
    for (const dir of [directory, linked]) {
      const second = launch(['--port', '0', '--unixsocket', join(directory, 'other.sock'), '--dir', dir])
      expect(await second.exit()).toBe(1)
      expect(second.stderr).toContain(`in use by process ${first.child.pid}`)
      expect(second.stderr).not.toContain('    at ')
    }
    rmSync(linked)
    await withClient((client) => client.call('SET', 'k', '2'))
    first.signal('SIGTERM')
    expect(await first.exit()).toBe(0)
    await serve()
    expect(await withClient((client) => client.call('GET', 'k'))).toBe('2')
  })

  test('a lock that SIGKILL has left behind is taken over, also when its process id is used again', async () => {
    const first = await serve()
    await withClient((client) => client.call('SET', 'k', '1'))
    first.signal('SIGKILL')
    await first.exit()
    const lock = join(directory, 'appendonlydir', 'appendonly.aof.lock')
    expect(readFileSync(lock, 'utf8')).toMatch(new RegExp(`^${first.child.pid} `))
    const second = await serve()
    second.signal('SIGKILL')
    await second.exit()
    // A process with this id is alive, but it was started at another time.
    writeFileSync(lock, `${process.pid} 12345\n`)
    const third = await serve()
    expect(await withClient((client) => client.call('GET', 'k'))).toBe('1')
    third.signal('SIGTERM')
    expect(await third.exit()).toBe(0)
    expect(existsSync(lock)).toBe(false)
  })

  test('of servers that start together over a stale lock exactly one runs', async () => {
    mkdirSync(join(directory, 'appendonlydir'))
    writeFileSync(join(directory, 'appendonlydir', 'appendonly.aof.lock'), '999999999 1\n')
    const all = [1, 2, 3].map((n) =>
      launch(['--port', '0', '--unixsocket', join(directory, `${n}.sock`), '--dir', directory]),
    )
    await Promise.all(
      all.map((server) => server.until(() => server.hasExited || server.stdout.includes('Ready to accept'))),
    )
    expect(all.filter((server) => server.hasExited).length).toBe(2)
    expect(all.filter((server) => server.stdout.includes('Ready to accept')).length).toBe(1)
  })
})

describe('the end', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends gracefully: replies are sent, the log is whole, exit code 0`, async () => {
      const server = await serve('--appendfsync', 'always')
      const raw = await RawConnection.connect(port)
      raw.send(encodeCommand(['INCR', 'n']).repeat(5000))
      await raw.until((text) => text.startsWith(':1\r\n'))
      server.signal(signal)
      await raw.ended()
      expect(await server.exit()).toBe(0)
      const answered = raw.text.split('\r\n').length - 1
      expect(raw.text.endsWith('\r\n')).toBe(true)
      await serve()
      expect(Number(await withClient((client) => client.call('GET', 'n')))).toBeGreaterThanOrEqual(answered)
    })
  }

  test('clients that do not read and clients that are blocked do not hold up the end', async () => {
    const server = await serve('--appendonly', 'no')
    await withClient((client) => client.call('SETRANGE', 'big', '1000000', 'x'))
    const slow = await RawConnection.connect(port)
    slow.pause()
    slow.send(encodeCommand(['GET', 'big']).repeat(50))
    const blocked = await RawConnection.connect(port)
    blocked.send(encodeCommand(['BLPOP', 'none', '0']))
    await withClient((client) => client.call('PING'))
    server.signal('SIGTERM')
    expect(await server.exit()).toBe(0)
    await blocked.ended()
    slow.close()
  })

  test('SHUTDOWN closes its connection without a reply and exits with 0', async () => {
    const server = await serve()
    const raw = await RawConnection.connect(port)
    raw.send(encodeCommand(['SET', 'k', 'v']) + encodeCommand(['SHUTDOWN', 'NOSAVE']) + encodeCommand(['PING']))
    await raw.ended()
    expect(raw.text).toBe('+OK\r\n')
    expect(await server.exit()).toBe(0)
    await serve()
    expect(await withClient((client) => client.call('GET', 'k'))).toBe('v')
  })

  test('SHUTDOWN ABORT takes back what a signal has asked for, and the next signal counts again', async () => {
    const server = await serve('--enable-debug-command', 'yes')
    await withClient(async (client) => {
      // What signals ask for is begun by the periodic work.
      await client.call('DEBUG', 'PAUSE-CRON', '1')
      server.signal('SIGTERM')
      await server.until(() => server.stdout.includes('Received SIGTERM scheduling shutdown'))
      expect(await client.call('SHUTDOWN', 'ABORT')).toEqual(OK)
      expect(server.stdout).toContain('Shutdown manually aborted')
      await client.call('DEBUG', 'PAUSE-CRON', '0')
      expect(await client.call('SHUTDOWN', 'ABORT')).toEqual({ error: 'ERR No shutdown in progress.' })
      expect(await client.call('SET', 'k', 'v')).toEqual(OK)
    })
    server.signal('SIGTERM')
    expect(await server.exit()).toBe(0)
  })

  for (const background of [false, true]) {
    const name = background ? 'gives up a snapshot in the background, ' : ''
    test(`SIGINT ${name}writes the last one and ends with 0`, async () => {
      const settings = ['--appendonly', 'no', '--save', '3600', '1000']
      const server = await serve(...settings)
      await withClient(async (client) => {
        await client.call('MSET', 'a', '1', 'b', '2')
        if (!background) return
        await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '1000000')
        await client.call('BGSAVE')
        await client.call('SET', 'a', 'later')
      })
      server.signal('SIGINT')
      expect(await server.exit()).toBe(0)
      expect(server.stdout.includes('There is a child saving an .rdb. Killing it!')).toBe(background)
      expect(readdirSync(directory)).toEqual(['dump.rdb'])
      await serve(...settings)
      expect(await withClient((client) => client.call('MGET', 'a', 'b'))).toEqual([background ? 'later' : '1', '2'])
    })
  }

  test('a last snapshot that cannot be written keeps the server going, for whoever waits meanwhile too', async () => {
    const server = await serve('--appendonly', 'no', '--save', '3600', '1000')
    await withClient(async (client) => {
      await client.call('MSET', 'a', '1', 'b', '2')
      mkdirSync(join(directory, 'dump.rdb'))
      await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '300000')
      server.signal('SIGTERM')
      await server.until(() => server.stdout.includes('Saving the final RDB snapshot'))
      expect(await client.call('SET', 'a', 'after')).toEqual(OK)
      expect(server.stdout).toContain("Error trying to save the DB, can't exit")
      rmSync(join(directory, 'dump.rdb'), { recursive: true })
      await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '0')
    })
    server.signal('SIGTERM')
    expect(await server.exit()).toBe(0)
    await serve('--appendonly', 'no')
    expect(await withClient((client) => client.call('GET', 'a'))).toBe('after')
  })

  test('SIGINT for the second time gives up the last snapshot and leaves the one before', async () => {
    const server = await serve('--appendonly', 'no', '--save', '3600', '1000')
    await withClient(async (client) => {
      await client.call('MSET', 'a', '1', 'b', '2')
      await client.call('SAVE')
      await client.call('CONFIG', 'SET', 'rdb-key-save-delay', '1000000000')
    })
    const before = readFileSync(join(directory, 'dump.rdb'))
    server.signal('SIGINT')
    await server.until(() => existsSync(join(directory, `temp-${server.child.pid}.rdb`)))
    server.signal('SIGINT')
    expect(await server.exit()).toBe(1)
    expect(readdirSync(directory)).toEqual(['dump.rdb'])
    expect(readFileSync(join(directory, 'dump.rdb'))).toEqual(before)
  })

  test('SIGINT for the second time ends the process at once', async () => {
    const server = await serve('--enable-debug-command', 'yes')
    await withClient((client) => client.call('DEBUG', 'PAUSE-CRON', '1'))
    server.signal('SIGINT')
    await server.until(() => server.stdout.includes('Received SIGINT scheduling shutdown'))
    server.signal('SIGINT')
    expect(await server.exit()).toBe(1)
  })

  test('SHUTDOWN that cannot be carried out is an error, and the server goes on', async () => {
    await serve()
    await withClient(async (client) => {
      expect(await client.call('SHUTDOWN', 'ABORT')).toEqual({ error: 'ERR No shutdown in progress.' })
      expect(await client.call('SHUTDOWN', 'SAVE', 'NOSAVE')).toEqual({ error: 'ERR syntax error' })
      expect(await client.call('PING')).toEqual({ status: 'PONG' })
    })
  })

  test('too few file descriptors refuse connections and leave the server running', async () => {
    const server = new Launched(['--port', String(port), '--dir', directory], null, [
      'sh',
      '-c',
      `ulimit -n 60; exec "${process.execPath}" src/main.ts "$@"`,
      'sh',
    ])
    launched.push(server)
    await server.ready()
    const first = await RespClient.connect({ port })
    expect(await first.call('PING')).toEqual({ status: 'PONG' })
    const many = await Promise.all(Array.from({ length: 120 }, () => RawConnection.connect(port)))
    for (const raw of many) raw.send('PING\r\n')
    await Promise.race([many.at(-1)!.until((text) => text !== ''), new Promise((resolve) => setTimeout(resolve, 500))])
    expect(await first.call('PING')).toEqual({ status: 'PONG' })
    for (const raw of many) raw.close()
    for (let i = 0; i < 100; i++) {
      const raw = await RawConnection.connect(port)
      raw.send('PING\r\n')
      await raw.until((text) => text !== '')
      raw.close()
      if (raw.text === '+PONG\r\n') break
      if (i === 99) expect.fail('No connection is accepted any more')
    }
    expect(server.hasExited).toBe(false)
    first.close()
  })

  test('--version and --help say what they should and do not start anything', () => {
    const run = (option: string): string =>
      execFileSync(process.execPath, ['src/main.ts', option], { encoding: 'utf8', timeout: 15_000 })
    expect(run('--version')).toMatch(/^Millrace server, .*v=7\.2\.4/)
    expect(run('-v')).toMatch(/^Millrace server/)
  })
})
