/**
 * Before a command writes while a snapshot is under way: the keys it names are written to the snapshot as they are.
 *
 * What a command changes without naming it (a key of another database, keys that expire, a cleared database) is kept by
 * the database itself when it goes.
 */
import { keyArguments } from '../commands/key-extraction.ts'
import type { Command } from '../commands/registry.ts'
import type { Database } from '../keyspace/database.ts'
import type { Args } from '../resp/args.ts'
import { NO_ROW } from '../storage/dict.ts'

export function keepPreImages(db: Database, command: Command, args: Args): void {
  if (db.marks === null) return
  const keys = isGuess(command) ? null : keyArguments(command, args)
  if (keys === null) {
    // The call is malformed, or only the handler knows which of its arguments are keys: whatever may be one is kept.
    for (let i = 1; i < args.count; i++) keep(db, args, i)
    return
  }
  for (const { index } of keys) keep(db, args, index)
}

/**
 * Whether keys are found behind a word that may stand for something else before it: a consumer called STREAMS. What
 * COMMAND GETKEYS tells of such a call is as wrong as in Redis.
 */
function isGuess({ definition: { keys = [] } }: Command): boolean {
  for (const { begin } of keys) if (begin.type === 'keyword') return true
  return false
}

function keep(db: Database, args: Args, i: number): void {
  const row = db.keys.find(args.buffer, args.start(i), args.length(i))
  if (row !== NO_ROW) db.aboutToChange(row)
}
