/**
 * Keys whose time is over by the time the log is loaded, or was over when a command met them: what commands made of them
 * is the same after loading as it was before.
 */
import { rmSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { configFromOptions } from '../../src/config/config.ts'
import { Decode, type ReplyValue } from '../../src/resp/value-sink.ts'
import { Broker } from '../../src/server/broker.ts'
import { InProcess, refuseNothing } from '../../src/server/in-process.ts'
import { TestClock, TestLog } from '../support/broker.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const directories: string[] = []

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

class Session {
  private readonly broker: Broker
  private readonly door: InProcess

  private constructor(broker: Broker) {
    this.broker = broker
    this.door = new InProcess(broker.server)
  }

  static async start(directory: string, clock: TestClock): Promise<Session> {
    const config = configFromOptions({ port: 0, dir: directory, appendonly: 'yes', 'enable-debug-command': 'yes' })
    const broker = new Broker({ config, log: new TestLog(), clock })
    await broker.start()
    return new Session(broker)
  }

  call(...args: string[]): Promise<ReplyValue> {
    return new Promise((done, failed) =>
      this.door.enqueue({ args, decode: Decode.Text, refuse: refuseNothing, isCancelled: false, done, failed }),
    )
  }

  async stop(): Promise<void> {
    this.door.close()
    await this.broker.close()
  }
}

async function afterReload(
  fill: (session: Session, clock: TestClock) => Promise<void>,
  look: (session: Session) => Promise<void>,
): Promise<void> {
  const directory = temporaryDirectory()
  directories.push(directory)
  const clock = new TestClock()
  const before = await Session.start(directory, clock)
  await fill(before, clock)
  await look(before)
  await before.stop()
  clock.pass(60_000)
  const after = await Session.start(directory, clock)
  await look(after)
  await after.stop()
}

test('what a command read from a key stays when that key has expired before the log is loaded', () =>
  afterReload(
    async (session) => {
      await session.call('SADD', 'source', 'a')
      await session.call('PEXPIRE', 'source', '1000')
      await session.call('SUNIONSTORE', 'target', 'source')
      await session.call('PERSIST', 'target')
    },
    async (session) => expect(await session.call('SMEMBERS', 'target')).toEqual(['a']),
  ))

test('a key that a command found expired is absent when the command is loaded', () =>
  afterReload(
    async (session, clock) => {
      await session.call('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
      await session.call('SADD', 'source', 'a')
      await session.call('SADD', 'other', 'b')
      await session.call('PEXPIRE', 'source', '1000')
      clock.pass(2000)
      await session.call('SUNIONSTORE', 'target', 'source', 'other')
    },
    async (session) => expect(await session.call('SMEMBERS', 'target')).toEqual(['b']),
  ))

test('a key that was read from the log counts as used when it was loaded', () =>
  afterReload(
    async (session) => {
      await session.call('SET', 'key', 'value')
    },
    async (session) => expect(await session.call('OBJECT', 'IDLETIME', 'key')).toBe(0),
  ))
