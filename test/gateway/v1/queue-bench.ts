/** A gateway with queues, and BullMQ programs beside it, which reach the broker over TCP as any program would. */
import { setImmediate } from 'node:timers/promises'
import { type Processor, Queue, Worker, type WorkerOptions } from 'bullmq'
import { expect } from 'vitest'
import type { JobResult } from '../../../src/gateway/queues/results.ts'
import { TestGateway } from '../../support/gateway.ts'
import type { RequestOptions } from '../../support/gateway-under-test.ts'

export interface Answer {
  readonly status: number
  /** {} when there is none. */
  readonly body: Readonly<Record<string, unknown>>
}

export class QueueBench {
  readonly gateway: TestGateway
  /** Of the default user, with whose rights the methods here run; '' is none. */
  private password = ''
  private readonly closing: (() => Promise<unknown>)[] = []

  private constructor(gateway: TestGateway) {
    this.gateway = gateway
  }

  static async start(): Promise<QueueBench> {
    return new QueueBench(await TestGateway.start())
  }

  /** What programs give BullMQ. */
  get connection(): { host: string; port: number; password?: string } {
    const { password } = this
    return { host: '127.0.0.1', port: this.gateway.broker.port, ...(password === '' ? {} : { password }) }
  }

  /** Has the default user prove itself from now on. */
  requirePassword(password: string): void {
    this.gateway.user('default', ['resetpass', `>${password}`])
    this.password = password
  }

  worker(
    name: string,
    process: Processor<Readonly<Record<string, unknown>>, unknown>,
    options: Partial<WorkerOptions> = {},
  ): Worker {
    const worker = new Worker(name, process, { connection: this.connection, ...options })
    // Closing breaks off what it waits for.
    worker.on('error', () => {})
    this.closing.push(() => worker.close(true))
    return worker
  }

  queue(name: string, options: { readonly prefix?: string } = {}): Queue {
    const queue = new Queue(name, { connection: this.connection, ...options })
    queue.on('error', () => {})
    this.closing.push(() => queue.close())
    return queue
  }

  /** Requests a path under `/v1/queues`. */
  async ask(path: string, options: RequestOptions = {}): Promise<Answer> {
    const own = this.password === '' ? {} : { token: this.password }
    const response = await this.gateway.fetch(`/v1/queues${path}`, { ...own, ...options })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) }
  }

  /** Adds a job; its ID. */
  async add(queue: string, job: object): Promise<string> {
    const { status, body } = await this.ask(`/${queue}/jobs`, { json: job })
    expect({ status, body }).toMatchObject({ status: 201 })
    return String(body.id)
  }

  async state(queue: string, id: string): Promise<unknown> {
    return (await this.ask(`/${queue}/jobs/${id}`)).body.state
  }

  async result(queue: string, id: string): Promise<JobResult> {
    const { body } = await this.ask(`/${queue}/jobs/${id}/result?blockMs=20000`)
    return body as unknown as JobResult
  }

  /** Resolves when a client waits in a command. */
  async blocked(command: string): Promise<void> {
    while (!(await this.isBlocked(command))) await setImmediate()
  }

  /** Resolves when no client waits in a command any more. */
  async unblocked(command: string): Promise<void> {
    while (await this.isBlocked(command)) await setImmediate()
  }

  private async isBlocked(command: string): Promise<boolean> {
    const clients = String(await this.gateway.call('CLIENT', 'LIST'))
    return clients.split('\n').some((line) => line.includes(` cmd=${command} `) && / flags=\w*b/.test(line))
  }

  /** Ends the programs and removes all data. */
  async clear(): Promise<void> {
    await Promise.all(this.closing.splice(0).map((close) => close()))
    await this.gateway.call('FLUSHALL')
  }

  async close(): Promise<void> {
    await this.clear()
    await this.gateway.close()
  }
}
