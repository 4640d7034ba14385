/**
 * Bad input and too much of it, on both transports and beside redis-server: how long others wait meanwhile
 * (support/stall-probe.ts), and what memory is taken afterwards. Each case also checks what comes of it.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Bench, column, isWanted, table } from './support/report.ts'
import { type BenchServer, pause, rssBytes, startMillrace, startRedis } from './support/servers.ts'
import { Probe } from './support/stall-probe.ts'

/** So much of what came is kept. */
const TAIL_BYTES = 1024
const MB = 1024 * 1024
const FLOOD_CONNECTIONS = 10_000
const FLOOD_AT_ONCE = 500
const CLIENTS_MAX = 1000
const REFUSED = 100
const SLOW_READERS = 50
const SLOW_READ_VALUE_BYTES = MB
const SLOW_READ_REQUESTS = 500
const SLOW_WRITERS = 200
const SLOW_WRITE_BYTES = 10 * MB
const DRIBBLERS = 20
const DRIBBLED_REQUESTS = 20
const PIPELINE = 1_000_000
const LONGEST_VALUE_BYTES = 512 * MB
const MANY_PAIRS = 500_000
const TRANSACTION = 100_000
/** How long a server has to give memory back, in ms. */
const SETTLE_MS = 1500
const WAIT_MS = 60_000

/** A socket, and what has come through it. */
class Peer {
  readonly socket: Socket
  bytes = 0
  /** Its last bytes. */
  tail = ''
  isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => (this.isClosed = true))
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length
      this.tail = (this.tail + chunk.toString('latin1', Math.max(0, chunk.length - TAIL_BYTES))).slice(-TAIL_BYTES)
    })
  }

  static async open(port: number): Promise<Peer> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Peer(socket)
  }

  /** Sends, and waits until what came ends so. */
  async ask(request: string | Buffer, ending: string): Promise<void> {
    this.socket.write(request)
    await until(() => this.tail.endsWith(ending) || this.isClosed)
    if (!this.tail.endsWith(ending)) throw new Error(`Closed instead of ${ending}: ${this.tail}`)
  }
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + WAIT_MS
  while (!isSo()) {
    if (performance.now() > end) throw new Error('Waited in vain')
    await pause(2)
  }
}

function request(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}

interface Case {
  readonly name: string
  readonly run: (port: number, admin: Peer) => Promise<void>
}

const CASES: readonly Case[] = [
  {
    name: `${FLOOD_CONNECTIONS} connections opened and closed`,
    run: async (port) => {
      for (let opened = 0; opened < FLOOD_CONNECTIONS; opened += FLOOD_AT_ONCE) {
        const peers = await Promise.all(Array.from({ length: FLOOD_AT_ONCE }, () => Peer.open(port)))
        await Promise.all(peers.map((peer) => peer.ask('PING\r\n', '+PONG\r\n')))
        for (const { socket } of peers) socket.destroy()
      }
    },
  },
  {
    name: `maxclients ${CLIENTS_MAX} reached`,
    run: async (port, admin) => {
      await admin.ask(`CONFIG SET maxclients ${CLIENTS_MAX}\r\n`, '+OK\r\n')
      const peers = await Promise.all(Array.from({ length: CLIENTS_MAX + REFUSED }, () => Peer.open(port)))
      for (const { socket } of peers) socket.write('PING\r\n')
      await until(() => peers.every(({ tail, isClosed }) => isClosed || tail !== ''))
      const refused = peers.filter(({ tail }) => tail.startsWith('-ERR max number of clients reached')).length
      if (refused < REFUSED || refused > REFUSED + 2) throw new Error(`${refused} were refused`)
      for (const { socket } of peers) socket.destroy()
      await admin.ask('CONFIG SET maxclients 10000\r\n', '+OK\r\n')
    },
  },
  {
    name: `${SLOW_READERS} clients that read nothing`,
    run: async (port, admin) => {
      await admin.ask('CONFIG SET client-output-buffer-limit "normal 32mb 16mb 1"\r\n', '+OK\r\n')
      await admin.ask(request(['SET', 'value', 'x'.repeat(SLOW_READ_VALUE_BYTES)]), '+OK\r\n')
      const peers = await Promise.all(Array.from({ length: SLOW_READERS }, () => Peer.open(port)))
      for (const { socket } of peers) socket.pause()
      for (const { socket } of peers) socket.write('GET value\r\n'.repeat(SLOW_READ_REQUESTS))
      await until(() => countClients(admin) <= 2)
      for (const { socket } of peers) socket.destroy()
      await admin.ask('CONFIG SET client-output-buffer-limit "normal 0 0 0"\r\n', '+OK\r\n')
    },
  },
  {
    name: `${SLOW_WRITERS} clients in the midst of ${SLOW_WRITE_BYTES / MB} MB`,
    run: async (port) => {
      const peers = await Promise.all(Array.from({ length: SLOW_WRITERS }, () => Peer.open(port)))
      for (const { socket } of peers) socket.write(`*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$${SLOW_WRITE_BYTES}\r\n`)
      for (let round = 0; round < 40; round++) {
        for (const { socket } of peers) socket.write('x'.repeat(round % 4 === 0 ? 30_000 : 1))
        await pause(25)
      }
      for (const { socket } of peers) socket.destroy()
    },
  },
  {
    name: `${DRIBBLERS} clients that send a byte at a time`,
    run: async (port) => {
      const peers = await Promise.all(Array.from({ length: DRIBBLERS }, () => Peer.open(port)))
      const text = request(['SET', 'key', 'v'.repeat(200)]).repeat(DRIBBLED_REQUESTS)
      for (const byte of text) {
        for (const { socket } of peers) socket.write(byte)
        await new Promise((resolve) => setImmediate(resolve))
      }
      await until(() => peers.every(({ bytes }) => bytes === 5 * DRIBBLED_REQUESTS))
      for (const { socket } of peers) socket.destroy()
    },
  },
  {
    name: `${PIPELINE} commands in one write`,
    run: async (port) => {
      const peer = await Peer.open(port)
      peer.socket.write(request(['SET', 'key', 'value']).repeat(PIPELINE))
      await until(() => peer.bytes === 5 * PIPELINE)
      peer.socket.destroy()
    },
  },
  {
    name: `${PIPELINE} commands behind one that waits`,
    run: async (port, admin) => {
      const peer = await Peer.open(port)
      peer.socket.write('BLPOP list 0\r\n')
      await pause(20)
      peer.socket.write(request(['SET', 'key', 'value']).repeat(PIPELINE))
      await pause(1000)
      await admin.ask('RPUSH list x\r\n', ':1\r\n')
      await until(() => peer.bytes >= 5 * PIPELINE)
      peer.socket.destroy()
    },
  },
  {
    name: `a value of ${LONGEST_VALUE_BYTES / MB} MB set`,
    run: async (_port, admin) => {
      admin.socket.write(`*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n$${LONGEST_VALUE_BYTES}\r\n`)
      await admin.ask(Buffer.concat([Buffer.alloc(LONGEST_VALUE_BYTES, 'x'), Buffer.from('\r\n')]), '+OK\r\n')
    },
  },
  {
    name: `a value of ${LONGEST_VALUE_BYTES / MB} MB read`,
    run: async (_port, admin) => {
      const { bytes } = admin
      admin.socket.write('GET long\r\n')
      await until(() => admin.bytes >= bytes + LONGEST_VALUE_BYTES)
    },
  },
  {
    name: `a value of ${LONGEST_VALUE_BYTES / MB} MB removed`,
    run: async (_port, admin) => admin.ask('DEL long\r\n', ':1\r\n'),
  },
  {
    name: 'a value of 513 MB, and counts that are too high',
    run: async (port) => {
      for (const text of [
        `*3\r\n$3\r\nSET\r\n$4\r\nlong\r\n$${LONGEST_VALUE_BYTES + MB}\r\n`,
        '*2147483648\r\n',
        '*3\r\n$-2\r\n',
      ]) {
        const peer = await Peer.open(port)
        peer.socket.write(text)
        await until(() => peer.isClosed)
        if (!peer.tail.includes('length')) throw new Error(`Not refused: ${text}: ${peer.tail}`)
      }
      // Announced, but never sent.
      const peers = await Promise.all(Array.from({ length: SLOW_WRITERS }, () => Peer.open(port)))
      for (const { socket } of peers) socket.write('*1000000\r\n$3\r\nDEL\r\n$536870912\r\nx')
      await pause(200)
      for (const { socket } of peers) socket.destroy()
    },
  },
  {
    name: `MSET of ${MANY_PAIRS} keys`,
    run: async (_port, admin) => {
      const words = ['MSET']
      for (let i = 0; i < MANY_PAIRS; i++) words.push(`key:${i}`, 'value')
      await admin.ask(request(words), '+OK\r\n')
      await admin.ask('FLUSHALL ASYNC\r\n', '+OK\r\n')
    },
  },
  {
    name: `a transaction of ${TRANSACTION} commands`,
    run: async (_port, admin) => {
      const text = request(['INCR', 'n']).repeat(TRANSACTION)
      await admin.ask(`MULTI\r\n${text}EXEC\r\n`, `:${TRANSACTION}\r\n`)
      await admin.ask('DEL n\r\n', ':1\r\n')
    },
  },
]

let clients = Number.POSITIVE_INFINITY

/** How many clients there are, as of a moment ago. */
function countClients(admin: Peer): number {
  admin.socket.write('INFO clients\r\n')
  clients = Number(/connected_clients:(\d+)/.exec(admin.tail)?.[1] ?? clients)
  return clients
}

/** By the name of the case. */
type Results = Map<string, { readonly stallMs: number; readonly rss: number }>

async function measure(server: BenchServer, cases: readonly Case[]): Promise<Results> {
  const results: Results = new Map()
  const admin = await Peer.open(server.port)
  const thread = new Probe(server)
  await thread.ask('reset')
  for (const { name, run } of cases) {
    await thread.ask('reset')
    await run(server.port, admin)
    const stallMs = await thread.ask('read')
    await pause(SETTLE_MS)
    results.set(name, { stallMs, rss: rssBytes(server.pid) })
    process.stderr.write(`  ${server.name}  ${name}  ${stallMs.toFixed(1)} ms\n`)
  }
  await thread.stop()
  admin.socket.destroy()
  return results
}

export const badInput: Bench = {
  name: 'bad-input',
  summary: 'floods, slow clients, huge requests: how long others wait, and memory afterwards; 5 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const cases = CASES.filter(({ name }) => isWanted(name, options))
    const all: Results[] = []
    for (const start of [
      () => startRedis({ args: ['--appendonly', 'no'] }),
      () => startMillrace({ args: ['--appendonly', 'no', '--transport', 'native'] }),
      () => startMillrace({ args: ['--appendonly', 'no', '--transport', 'node'] }),
    ]) {
      const server = await start()
      try {
        all.push(await measure(server, cases))
      } finally {
        await server.stop()
      }
    }
    const names = ['Redis', 'native', 'node']
    return {
      method:
        "The longest time in ms that the server's thread ran while another connection waited for a PING; and the resident memory 1.5 s afterwards, in MB. Millrace with either transport; the cases follow each other.",
      tables: [
        table(
          'Bad input',
          [
            column('what', 0),
            ...names.map((name) => column(`${name} ms`, 1)),
            ...names.map((name) => column(`${name} MB`, 0)),
          ],
          cases.map(({ name }) => [
            name,
            ...all.map((results) => results.get(name)!.stallMs),
            ...all.map((results) => results.get(name)!.rss / MB),
          ]),
        ),
      ],
      goals: [],
      plots: [],
    }
  },
}
