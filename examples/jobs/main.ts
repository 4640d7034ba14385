/**
 * Background jobs: a BullMQ queue, its worker and a broker in one process. `npm run example:jobs`
 *
 * Nothing else has to run: the broker is started here and reached without a socket. Give queue and worker
 * `{ host, port }` instead of `ioredisOptions(broker)`, and they work with a broker elsewhere.
 */
import { FlowProducer, type Job, Queue, QueueEvents, Worker } from 'bullmq'
import { createBroker, ioredisOptions } from '../../src/index.ts'

const started = performance.now()

function say(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(2).padStart(5)
  process.stdout.write(`${seconds}s  ${text}\n`)
}

function title(text: string): void {
  process.stdout.write(`\n== ${text}\n`)
}

const broker = await createBroker()
const connection = ioredisOptions(broker)

const queue = new Queue('mail', { connection })
const events = new QueueEvents('mail', { connection })
const flows = new FlowProducer({ connection })
await events.waitUntilReady()

/** Runs one job. What it returns is the job's result; what it throws makes the job fail, or be tried again. */
async function send(job: Job): Promise<string> {
  switch (job.name) {
    case 'flaky':
      if (job.attemptsMade < 2) {
        say(`  attempt ${job.attemptsMade + 1} of ${job.name}: the mail server does not answer`)
        throw new Error('no answer')
      }
      break
    case 'newsletter': {
      const parts = await job.getChildrenValues<string>()
      say(`  ${job.name} runs after its children and sees: ${Object.values(parts).sort().join(', ')}`)
      break
    }
  }
  say(`  ${job.name}: to ${job.data.to}`)
  return `sent to ${job.data.to}`
}

const worker = new Worker('mail', send, { connection, concurrency: 1 })
const renderer = new Worker('render', async (job) => `${job.data.part} rendered`, { connection })

title('A job: added here, run by the worker, its result awaited')
const welcome = await queue.add('welcome', { to: 'ada@example.org' })
say(`result: ${await welcome.waitUntilFinished(events)}`)

title('A delayed job runs after its time')
const reminder = await queue.add('reminder', { to: 'bob@example.org' }, { delay: 1000 })
say('reminder added, due in one second')
await reminder.waitUntilFinished(events)

title('Priorities: the worker rests while three jobs come; 1 goes first')
await worker.pause()
const prioritised = await queue.addBulk([
  { name: 'report', data: { to: 'later@example.org' }, opts: { priority: 10 } },
  { name: 'invoice', data: { to: 'soon@example.org' }, opts: { priority: 5 } },
  { name: 'alarm', data: { to: 'now@example.org' }, opts: { priority: 1 } },
])
worker.resume()
await Promise.all(prioritised.map((job) => job.waitUntilFinished(events)))

title('A job that fails is tried again, with a growing pause')
const flaky = await queue.add(
  'flaky',
  { to: 'cleo@example.org' },
  { attempts: 3, backoff: { type: 'exponential', delay: 200 } },
)
say(`result: ${await flaky.waitUntilFinished(events)}`)

title('A job scheduler adds a job every 300 ms, three times')
let runs = 0
const repeated = new Promise<void>((resolve) => {
  worker.on('completed', (job) => {
    if (job.name === 'digest' && ++runs === 3) resolve()
  })
})
await queue.upsertJobScheduler(
  'digest-scheduler',
  { every: 300, limit: 3 },
  { name: 'digest', data: { to: 'all@example.org' } },
)
await repeated

title('A flow: the parent waits for its children, which another worker runs')
const flow = await flows.add({
  name: 'newsletter',
  queueName: 'mail',
  data: { to: 'readers@example.org' },
  children: ['header', 'body', 'footer'].map((part) => ({ name: 'render', queueName: 'render', data: { part } })),
})
await flow.job.waitUntilFinished(events)

title('A rate limit: two jobs in 500 ms, six jobs')
const limited = new Queue('sms', { connection })
const limitedEvents = new QueueEvents('sms', { connection })
await limitedEvents.waitUntilReady()
const limitedWorker = new Worker('sms', async (job) => say(`  sms ${job.data.n}`), {
  connection,
  limiter: { max: 2, duration: 500 },
})
const limitedStart = performance.now()
const messages = await limited.addBulk([1, 2, 3, 4, 5, 6].map((n) => ({ name: 'sms', data: { n } })))
await Promise.all(messages.map((job) => job.waitUntilFinished(limitedEvents)))
say(
  `six took ${performance.now() - limitedStart >= 900 ? 'about a second or more, as the limit says' : 'less than the limit allows'}`,
)

title('What is left')
const counts = await queue.getJobCounts('completed', 'failed', 'waiting', 'delayed')
say(
  `mail: ${counts.completed} completed, ${counts.failed} failed, ${counts.waiting} waiting, ${counts.delayed} delayed`,
)

await Promise.all([worker.close(), renderer.close(), limitedWorker.close()])
await Promise.all([events.close(), limitedEvents.close(), queue.close(), limited.close(), flows.close()])
await broker.close()
say('done')
