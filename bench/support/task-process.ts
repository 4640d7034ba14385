/**
 * Load comes from processes of their own: they compile and collect apart from who measures, and use other cores. Such a
 * process is a file that calls `serveTasks`; the other side starts it with `TaskProcess.start` and gives it tasks, one at a
 * time.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

type Answer<Result> = { readonly result: Result } | { readonly error: string }

export class TaskProcess<Task, Result> {
  readonly pid: number
  private readonly child: ChildProcess
  private readonly ended: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.child = child
    this.pid = child.pid ?? 0
    this.ended = once(child, 'exit')
  }

  static start<Task, Result>(file: string): TaskProcess<Task, Result> {
    return new TaskProcess(fork(file))
  }

  /** Gives a task and awaits what comes of it. @throws Error when it fails or the process ends */
  async run(task: Task): Promise<Result> {
    const answered = once(this.child, 'message') as Promise<[Answer<Result>]>
    this.child.send({ task })
    const ended = this.ended.then((): never => {
      throw new Error('The process that makes the load has ended')
    })
    const [answer] = await Promise.race([answered, ended])
    if ('error' in answer) throw new Error(answer.error)
    return answer.result
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM')
    await this.ended
  }
}

/** The process' side: runs tasks until the other side goes away. */
export function serveTasks<Task, Result>(run: (task: Task) => Promise<Result>): void {
  process.on('message', ({ task }: { task: Task }) => {
    run(task).then(
      (result) => process.send?.({ result }),
      (error: unknown) =>
        process.send?.({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
  })
  process.on('disconnect', () => process.exit(0))
}
