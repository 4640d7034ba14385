/** Groups of real redis-server processes, and the remote engine on them. */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { promisify } from 'node:util'
import { type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import type { Argument, ReplyValue } from '../../src/gateway/engine.ts'
import { RemoteEngine, type RemoteEngineOptions } from '../../src/gateway/remote-engine.ts'
import type { Log } from '../../src/observe/log.ts'
import { freePort, ServerProcess } from './server-process.ts'

const run = promisify(execFile)
/** How long a group may take to get into a state, in ms. */
const LIMIT_MS = 30_000

/** A log that keeps all that is written to it. */
export class KeptLog implements Log {
  readonly lines: string[] = []
  readonly debug = this.keep('debug')
  readonly verbose = this.keep('verbose')
  readonly notice = this.keep('notice')
  readonly warning = this.keep('warning')

  get warnings(): readonly string[] {
    return this.lines.filter((line) => line.startsWith('warning: '))
  }

  private keep(level: string): (text: string) => void {
    return (text) => void this.lines.push(`${level}: ${text}`)
  }
}

export interface EngineUnderTest {
  readonly engine: RemoteEngine
  readonly log: KeptLog
  /** Runs a command with all rights. */
  call(...words: readonly Argument[]): Promise<ReplyValue>
}

export function remoteEngine(
  url: string,
  options: Partial<RemoteEngineOptions> = {},
  config: ConfigOptions = {},
): EngineUnderTest {
  const log = new KeptLog()
  const engine = new RemoteEngine({
    url,
    config: configFromOptions({ 'http-token-file': '', ...config }),
    log,
    ...options,
  })
  return { engine, log, call: (...words) => engine.call(engine.system, words) }
}

/** Waits until something holds, looking every 20 ms. @throws Error when it does not in time */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const limit = performance.now() + LIMIT_MS
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`Waited in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Sends one command to a server, and returns the reply as text; '' when it does not answer. */
export async function ask(server: ServerProcess, ...words: string[]): Promise<string> {
  try {
    const client = await server.connect()
    const reply = await client.call(...words)
    client.close()
    return typeof reply === 'string' ? reply : JSON.stringify(reply)
  } catch {
    return ''
  }
}

/** A primary, two replicas, and three Sentinels that watch them as `main`. */
export class SentinelTrio {
  readonly servers: readonly ServerProcess[]
  readonly sentinels: readonly ServerProcess[]
  private agreed: ServerProcess

  private constructor(servers: readonly ServerProcess[], sentinels: readonly ServerProcess[]) {
    this.servers = servers
    this.agreed = servers[0]!
    this.sentinels = sentinels
  }

  static async start(): Promise<SentinelTrio> {
    const fast = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']
    const primary = await ServerProcess.redis(fast)
    const replicaOf = ['--replicaof', `127.0.0.1 ${primary.port}`]
    const replicas = await Promise.all([1, 2].map(() => ServerProcess.redis([...fast, ...replicaOf])))
    await until('the replicas are connected', async () =>
      (await ask(primary, 'INFO', 'replication')).includes('connected_slaves:2'),
    )
    const lines = [
      `sentinel monitor main 127.0.0.1 ${primary.port} 2`,
      'sentinel down-after-milliseconds main 1000',
      'sentinel failover-timeout main 5000',
    ]
    const sentinels = await Promise.all([1, 2, 3].map(() => ServerProcess.sentinel(lines)))
    const trio = new SentinelTrio([primary, ...replicas], sentinels)
    await until('the Sentinels know each other and the replicas', async () => {
      const states = await Promise.all(sentinels.map((sentinel) => ask(sentinel, 'INFO', 'sentinel')))
      return states.every((state) => state.includes('slaves=2,sentinels=3'))
    })
    return trio
  }

  get url(): string {
    return `redis-sentinel://${this.sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/main`
  }

  /** The server that all Sentinels take for the primary; while they disagree, the one it was. */
  async primary(): Promise<ServerProcess> {
    const addressFrom = (sentinel: ServerProcess): Promise<string> =>
      ask(sentinel, 'SENTINEL', 'get-master-addr-by-name', 'main')
    const [address = '', ...others] = await Promise.all(this.sentinels.map(addressFrom))
    if (others.every((other) => other === address))
      this.agreed = this.servers.find(({ port }) => address.includes(`"${port}"`)) ?? this.agreed
    return this.agreed
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.dispose()))
    for (const { directory } of this.sentinels) rmSync(directory, { recursive: true, force: true })
  }
}

/** Three primaries, each with a replica. */
export class RedisCluster {
  readonly servers: readonly ServerProcess[]

  private constructor(servers: readonly ServerProcess[]) {
    this.servers = servers
  }

  static async start(): Promise<RedisCluster> {
    const servers = await Promise.all(
      Array.from({ length: 6 }, async () =>
        ServerProcess.redis([
          ...['--cluster-enabled', 'yes', '--cluster-port', String(await freePort()), '--cluster-node-timeout', '2000'],
          ...['--repl-diskless-sync-delay', '0', '--cluster-replica-validity-factor', '0'],
        ]),
      ),
    )
    const cluster = new RedisCluster(servers)
    const addresses = servers.map(({ port }) => `127.0.0.1:${port}`)
    const options = ['--cluster-replicas', '1', '--cluster-yes']
    await run('redis-cli', ['--cluster', 'create', ...addresses, ...options], { timeout: LIMIT_MS })
    await until('all nodes agree, and replicas are connected', async () => {
      const states = await Promise.all(servers.map((server) => ask(server, 'CLUSTER', 'INFO')))
      const links = await Promise.all(servers.map((server) => ask(server, 'INFO', 'replication')))
      const isConnected = (text: string): boolean =>
        text.includes('master_link_status:up') || text.includes('connected_slaves:1')
      return states.every((state) => state.includes('cluster_state:ok')) && links.every(isConnected)
    })
    return cluster
  }

  /** Names the first node only: the others are found. */
  get url(): string {
    return `redis-cluster://127.0.0.1:${this.servers[0]!.port}`
  }

  /** Names all nodes. */
  get fullUrl(): string {
    return `redis-cluster://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}`
  }

  /** The primary that holds a slot. */
  async holderOf(slot: number): Promise<ServerProcess> {
    for (const server of this.servers) {
      const client = await server.connect().catch(() => null)
      if (client === null) continue
      const map = await client.call('CLUSTER', 'SLOTS')
      client.close()
      if (!Array.isArray(map)) continue
      for (const range of map) {
        if (!Array.isArray(range) || !Array.isArray(range[2])) continue
        const [first, last, [, port]] = range as unknown as [number, number, [string, number]]
        if (slot < first || slot > last) continue
        const holder = this.servers.find((each) => each.port === port)
        if (holder !== undefined) return holder
      }
    }
    throw new Error(`Nobody holds slot ${slot}`)
  }

  async dispose(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.dispose()))
  }
}
