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
  // Null: the call is malformed, and the handler will say so.
  const keys = keyArguments(command, args)
  if (keys === null) return
  for (const { index } of keys) {
    const row = db.keys.find(args.buffer, args.start(index), args.length(index))
    if (row !== NO_ROW) db.aboutToChange(row)
  }
}
