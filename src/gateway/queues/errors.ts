/**
 * What BullMQ throws, as answers: its numbered errors (a job that is not there, not in the state, locked), error replies of
 * the engine, lost connections. Anything else is a defect and stays what it is.
 * Source: BullMQ classes/finished-errors.ts, enums/error-code.ts.
 */
import { ErrorCode } from 'bullmq'
import { CommandError, EngineUnavailableError } from '../engine.ts'
import { Problem } from '../problem.ts'

const NOT_FOUND: ReadonlySet<number> = new Set([ErrorCode.JobNotExist, ErrorCode.ParentJobNotExist])
const CONNECTION_CLOSED = /^Connection is closed|ECONNREFUSED/
/** Thrown without a number (Job.remove, RedisQueueBackend.obliterate). */
const CONFLICT = /could not be removed because it is locked|^Cannot obliterate queue with active jobs|^Unknown backoff/

export function translateBullError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if ('code' in error && typeof error.code === 'number' && error.code < 0) {
    return new Problem(NOT_FOUND.has(error.code) ? 404 : 409, withoutCommand(error.message))
  }
  // ioredis names error replies so.
  if (error.name === 'ReplyError') return new CommandError(error.message)
  if (CONNECTION_CLOSED.test(error.message)) return new EngineUnavailableError('The queues are not connected')
  if (CONFLICT.test(error.message)) return new Problem(409, error.message.split('\n')[0]!)
  // Jobs are JSON texts in hashes, and anybody who may write those can write something else.
  if (error instanceof SyntaxError) return new Problem(409, 'The queue holds a job that is not JSON')
  return error
}

/** BullMQ puts the name of its script behind the sentence: `Missing key for job 7. promote`. */
function withoutCommand(message: string): string {
  return message.replace(/\.? (?:Cmd )?\w+(?: from \w+)?$/, '')
}
