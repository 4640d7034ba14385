/**
 * The longest stall of what works on much data, beside redis-server: while one connection runs a command over 1 or 2
 * million keys or elements, another one sees how long others wait (support/stall-probe.ts). Of several rounds the least
 * counts.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Bench, column, isWanted, table } from './support/report.ts'
import { type BenchServer, eachAlone, pause } from './support/servers.ts'
import { Probe } from './support/stall-probe.ts'

/** Keys, and elements of what is deleted or copied, are twice as many. */
const ELEMENTS = 1_000_000
const QUICK_ELEMENTS = 1000
const ROUNDS = 3
/** Requests, or elements of a request, that go in one write. */
const BATCH = 500
/** The thread is looked at this long after the reply, in ms: what is done in slices afterwards counts, too. */
const AFTERMATH_MS = 30
const POLL_MS = 20
/** How long it takes at most to write a thousand keys that are to expire together, in ms. */
const STORM_MS_PER_THOUSAND = 20
/** They are all there so long before that. */
const STORM_AHEAD_MS = 100

// ---- the connection that works -----------------------------------------------------------------------------------

class Connection {
  private readonly socket: Socket
  private marks = 0

  constructor(socket: Socket) {
    this.socket = socket
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.setNoDelay(true)
    return new Connection(socket)
  }

  /** Sends inline commands and waits for the last reply, of whatever size. Returns the end of the replies. */
  async run(commands: string): Promise<string> {
    const mark = `mark-${++this.marks}`
    const ending = `$${mark.length}\r\n${mark}\r\n`
    this.socket.write(`${commands}\r\nECHO ${mark}\r\n`)
    let tail = ''
    let hasFailed = false
    while (!tail.endsWith(ending)) {
      const [chunk] = (await once(this.socket, 'data')) as [Buffer]
      if (tail === '') hasFailed = chunk[0] === 0x2d
      tail = (tail + chunk.subarray(-256).toString('latin1')).slice(-512)
      if (hasFailed) throw new Error(`${commands.slice(0, 80)}: ${tail}`)
    }
    return tail.slice(0, -ending.length)
  }

  /** Runs `text(i)` for each i below `count`, many at a time. */
  async fill(count: number, text: (i: number) => string): Promise<void> {
    for (let first = 0; first < count; first += BATCH) {
      const lines: string[] = []
      for (let i = first; i < Math.min(count, first + BATCH); i++) lines.push(text(i))
      await this.run(lines.join('\r\n'))
    }
  }

  /** Gives a command `count` elements, many at a time. */
  async fillOne(command: string, count: number, element: (i: number) => string): Promise<void> {
    for (let first = 0; first < count; first += BATCH) {
      let line = command
      for (let i = first; i < Math.min(count, first + BATCH); i++) line += ` ${element(i)}`
      await this.run(line)
    }
  }

  /** The value of a line of INFO. */
  async info(name: string): Promise<number> {
    this.socket.write('INFO\r\n')
    let text = ''
    while (!text.endsWith('\r\n\r\n') && !/keyspace/i.test(text.slice(-400))) {
      const [chunk] = (await once(this.socket, 'data')) as [Buffer]
      text += chunk.toString('latin1')
    }
    return Number(new RegExp(`${name}:(\\d+)`).exec(text)?.[1] ?? 0)
  }

  close(): void {
    this.socket.destroy()
  }
}

// ---- what is measured --------------------------------------------------------------------------------------------

interface Case {
  readonly name: string
  /** Before each round; not measured. */
  readonly before?: (db: Connection) => Promise<unknown>
  readonly run: (db: Connection) => Promise<unknown>
  readonly after?: (db: Connection) => Promise<unknown>
}

const KINDS = ['hash', 'set', 'zset', 'list', 'stream'] as const

/** Where things are: database 0 has the keys, 1 the big values, 2 is empty. */
async function prepare(db: Connection, elements: number): Promise<void> {
  const twice = elements * 2
  await db.fill(twice, (i) => `SET key:${String(i).padStart(12, '0')} value-${i}`)
  await db.run('SELECT 1')
  await db.fillOne('HSET hash', twice, (i) => `field-${i} value-${i}`)
  await db.fillOne('SADD set', twice, (i) => `member-${i}`)
  await db.fillOne('ZADD zset', twice, (i) => `${(i * 7919) % twice} member-${i}`)
  await db.fillOne('RPUSH list', twice, (i) => `element-${i}`)
  await db.fill(twice, (i) => `XADD stream ${i + 1}-0 field value-${i}`)
  await db.fillOne('RPUSH half:list', elements, (i) => String((i * 7919) % elements))
  await db.fillOne('HSET half:hash', elements, (i) => `field-${i} value-${i}`)
  await db.fillOne('SADD half:set', elements, (i) => `member-${i}`)
  await db.fillOne('SADD other:set', elements, (i) => `member-${i + elements / 2}`)
  await db.fillOne('ZADD half:zset', elements, (i) => `${i} member-${i}`)
  await db.fillOne('ZADD other:zset', elements, (i) => `${i} member-${i + elements / 2}`)
}

async function scanAll(db: Connection): Promise<void> {
  await db.run('SELECT 0')
  let cursor = '0'
  do {
    // The cursor comes first, so the reply is asked for without what follows: by a script's caller it would be whole.
    const tail = await db.run(`EVAL "return redis.call('SCAN',ARGV[1],'COUNT',1000)[1]" 0 ${cursor}`)
    cursor = /(\d+)\r\n$/.exec(tail)?.[1] ?? '0'
  } while (cursor !== '0')
}

async function freed(db: Connection): Promise<void> {
  while ((await db.info('lazyfree_pending_objects')) > 0) await pause(POLL_MS)
}

const drop = (db: Connection): Promise<string> =>
  db
    .run('SELECT 2\r\nFLUSHDB ASYNC')
    .then(() => freed(db))
    .then(() => '')

const perKind = (verb: string, twice: number): Case[] =>
  KINDS.map((kind) => ({
    name: `${verb} ${kind} of ${twice}`,
    before: (db) => db.run(`SELECT 1\r\nCOPY ${kind} copy REPLACE`),
    run: (db) => db.run(`${verb} copy`).then(() => freed(db)),
  }))

const reading = (command: string, name = command): Case => ({
  name,
  before: (db) => db.run('SELECT 1'),
  run: (db) => db.run(command),
})

const storing = (command: string, name: string): Case => ({
  ...reading(command, name),
  after: (db) => db.run('UNLINK stored').then(() => freed(db)),
})

const fillKeys = (db: Connection, twice: number): Promise<void> =>
  db.run('SELECT 2').then(() => db.fill(twice, (i) => `SET key:${String(i).padStart(12, '0')} value-${i}`))

/** All cases; a list, however long. */
function casesOf(elements: number): readonly Case[] {
  const twice = elements * 2
  return [
    { name: `SCAN COUNT 1000 over ${twice} keys`, run: scanAll },
    { name: `KEYS * of ${twice}`, before: (db) => db.run('SELECT 0'), run: (db) => db.run('KEYS *') },
    { name: `KEYS nothing* of ${twice}`, before: (db) => db.run('SELECT 0'), run: (db) => db.run('KEYS nothing*') },
    ...perKind('DEL', twice),
    ...perKind('UNLINK', twice),
    ...KINDS.map((kind) => ({
      name: `COPY ${kind} of ${twice}`,
      before: (db: Connection) => db.run('SELECT 1'),
      run: (db: Connection) => db.run(`COPY ${kind} copy`),
      after: (db: Connection) => db.run('UNLINK copy').then(() => freed(db)),
    })),
    {
      name: `RENAME over hash of ${twice}`,
      before: (db) => db.run('SELECT 1\r\nCOPY hash copy REPLACE\r\nSET small 1'),
      run: (db) => db.run('RENAME small copy').then(() => freed(db)),
    },
    {
      name: `SET over zset of ${twice}`,
      before: (db) => db.run('SELECT 1\r\nCOPY zset copy REPLACE'),
      run: (db) => db.run('SET copy 1').then(() => freed(db)),
    },
    reading('LRANGE half:list 0 -1', `LRANGE of ${elements}`),
    reading('HGETALL half:hash', `HGETALL of ${elements}`),
    reading('SMEMBERS half:set', `SMEMBERS of ${elements}`),
    reading('ZRANGE half:zset 0 -1 WITHSCORES', `ZRANGE of ${elements}`),
    reading(`XRANGE stream - ${elements}-0`, `XRANGE of ${elements}`),
    reading('SORT half:list LIMIT 0 10', `SORT of ${elements}`),
    reading('SORT half:list ALPHA LIMIT 0 10', `SORT ALPHA of ${elements}`),
    storing('SORT half:list STORE stored', `SORT STORE of ${elements}`),
    storing('ZUNIONSTORE stored 2 half:zset other:zset', `ZUNIONSTORE of 2 × ${elements}`),
    storing('ZINTERSTORE stored 2 half:zset other:zset', `ZINTERSTORE of 2 × ${elements}`),
    storing('SUNIONSTORE stored half:set other:set', `SUNIONSTORE of 2 × ${elements}`),
    storing('SINTERSTORE stored half:set other:set', `SINTERSTORE of 2 × ${elements}`),
    storing('SDIFFSTORE stored half:set other:set', `SDIFFSTORE of 2 × ${elements}`),
    storing('ZRANGESTORE stored half:zset 0 -1', `ZRANGESTORE of ${elements}`),
    storing('XGROUP CREATE stream all 0\r\nXGROUP DESTROY stream all', 'XGROUP CREATE, DESTROY (empty)'),
    {
      name: `XREADGROUP of ${elements}`,
      before: (db) => db.run('SELECT 1\r\nXGROUP CREATE stream some 0'),
      run: (db) => db.run(`XREADGROUP GROUP some one COUNT ${elements} STREAMS stream >`),
      after: (db) => db.run('XGROUP DESTROY stream some').then(() => freed(db)),
    },
    {
      name: `XGROUP DESTROY with ${elements} pending`,
      before: (db) =>
        db.run(
          `SELECT 1\r\nXGROUP CREATE stream some 0\r\nXREADGROUP GROUP some one COUNT ${elements} STREAMS stream >`,
        ),
      run: (db) => db.run('XGROUP DESTROY stream some').then(() => freed(db)),
    },
    {
      name: `XGROUP DELCONSUMER with ${elements} pending`,
      before: (db) =>
        db.run(
          `SELECT 1\r\nXGROUP CREATE stream some 0\r\nXREADGROUP GROUP some one COUNT ${elements} STREAMS stream >`,
        ),
      run: (db) => db.run('XGROUP DELCONSUMER stream some one').then(() => freed(db)),
      after: (db) => db.run('XGROUP DESTROY stream some'),
    },
    {
      name: `XTRIM of ${twice} to 0`,
      before: (db) => db.run('SELECT 1\r\nCOPY stream copy REPLACE'),
      run: (db) => db.run('XTRIM copy MAXLEN 0').then(() => freed(db)),
      after: (db) => db.run('DEL copy'),
    },
    {
      name: `LTRIM of ${twice} to 0`,
      before: (db) => db.run('SELECT 1\r\nCOPY list copy REPLACE'),
      run: (db) => db.run('LTRIM copy 1 0').then(() => freed(db)),
    },
    {
      name: `ZREMRANGEBYRANK of ${twice}`,
      before: (db) => db.run('SELECT 1\r\nCOPY zset copy REPLACE'),
      run: (db) => db.run('ZREMRANGEBYRANK copy 0 -1').then(() => freed(db)),
    },
    {
      name: `SPOP of ${twice}`,
      before: (db) => db.run('SELECT 1\r\nCOPY set copy REPLACE'),
      run: (db) => db.run(`SPOP copy ${twice}`).then(() => freed(db)),
    },
    {
      name: `growth of a hash to ${twice}`,
      before: (db) => db.run('SELECT 2'),
      run: (db) => db.fill(twice, (i) => `HSET grown field-${i} value-${i}`),
      after: drop,
    },
    {
      name: `growth of a set to ${twice}`,
      before: (db) => db.run('SELECT 2'),
      run: (db) => db.fill(twice, (i) => `SADD grown member-${i}`),
      after: drop,
    },
    {
      name: `FLUSHDB SYNC of ${twice} keys`,
      before: (db) => fillKeys(db, twice),
      run: (db) => db.run('FLUSHDB SYNC').then(() => freed(db)),
    },
    {
      name: `FLUSHDB ASYNC of ${twice} keys`,
      before: (db) => fillKeys(db, twice),
      run: (db) => db.run('FLUSHDB ASYNC').then(() => freed(db)),
    },
    {
      name: `${elements} keys expire at once`,
      before: async (db) => {
        await db.run('SELECT 2')
        const at = Date.now() + STORM_AHEAD_MS + (elements / 1000) * STORM_MS_PER_THOUSAND
        await db.fill(elements, (i) => `SET key:${i} value-${i} PXAT ${at}`)
        await pause(at - STORM_AHEAD_MS - Date.now())
      },
      run: async (db) => {
        while (!(await db.run('DBSIZE')).endsWith(':0\r\n')) await pause(POLL_MS)
      },
    },
    {
      name: `growth of the main table to ${twice * 4} keys`,
      before: (db) => db.run('SELECT 2'),
      run: (db) => db.fill(twice * 4, (i) => `SET key:${i} v`),
      after: drop,
    },
  ]
}

async function measure(
  server: BenchServer,
  cases: readonly Case[],
  elements: number,
  rounds: number,
): Promise<Map<string, number>> {
  const db = await Connection.open(server.port)
  await prepare(db, elements)
  const thread = new Probe(server)
  const least = new Map<string, number>()
  for (const { name, before, run, after } of cases) {
    for (let round = 0; round < rounds; round++) {
      if (before !== undefined) await before(db)
      await pause(AFTERMATH_MS)
      await thread.ask('reset')
      await run(db)
      await pause(AFTERMATH_MS)
      least.set(name, Math.min(least.get(name) ?? Number.POSITIVE_INFINITY, await thread.ask('read')))
      if (after !== undefined) await after(db)
    }
    process.stderr.write(`${server.name}  ${name}  ${least.get(name)!.toFixed(1)} ms\n`)
  }
  await thread.stop()
  db.close()
  return least
}

export const stalls: Bench = {
  name: 'stalls',
  summary: 'the longest stall of commands over a million elements, by the time that the server ran; 15 minutes',
  programs: ['redis-server'],
  run: async (options) => {
    const elements = options.isQuick ? QUICK_ELEMENTS : ELEMENTS
    const rounds = options.rounds ?? (options.isQuick ? 1 : ROUNDS)
    const cases = casesOf(elements).filter(({ name }) => isWanted(name, options))
    const [redis, millrace] = await eachAlone(['--appendonly', 'no'], (server) =>
      measure(server, cases, elements, rounds),
    )
    return {
      method: `The longest time in ms that the server's thread ran while another connection waited for a PING, the least of ${rounds} rounds; one server at a time.`,
      tables: [
        table(
          'Stalls',
          [column('command', 0), column('Redis ms', 1), column('Millrace ms', 1)],
          cases.map(({ name }) => [name, redis.get(name) ?? null, millrace.get(name) ?? null]),
        ),
      ],
      goals: [],
      plots: [],
    }
  },
}
