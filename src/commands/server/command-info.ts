/** What COMMAND and COMMAND INFO reply about a command. Source: Valkey src/server.c `addReplyCommandInfo`. */
import type { ReplySink } from '../../resp/reply.ts'
import { CATEGORY_NAMES, CommandFlag, FLAG_NAMES, type KeySpec } from '../define.ts'
import { legacyRange } from '../key-extraction.ts'
import type { Command } from '../registry.ts'

/** Replies all about a command, its subcommands included. */
export function replyCommandInfo(reply: ReplySink, command: Command): void {
  const range = legacyRange(command)
  const flags = command.flags | (range.isMovable ? CommandFlag.MovableKeys : 0)
  const { tips = [], keys = [] } = command.definition
  reply.array(10)
  reply.bulkText(command.fullName)
  reply.integer(command.arity)
  replyStatusSet(reply, namesOf(flags, FLAG_NAMES))
  reply.integer(range.first)
  reply.integer(range.last)
  reply.integer(range.step)
  replyStatusSet(
    reply,
    namesOf(command.categories, CATEGORY_NAMES).map((name) => `@${name}`),
  )
  reply.set(tips.length)
  for (const tip of tips) reply.bulkText(tip)
  reply.set(keys.length)
  for (const spec of keys) replyKeySpec(reply, spec)
  if (command.subcommands === null) reply.set(0)
  else {
    reply.array(command.subcommands.size)
    for (const sub of command.subcommands.values()) replyCommandInfo(reply, sub)
  }
}

/** A set of simple strings, as flags are shown. */
export function replyStatusSet(reply: ReplySink, names: readonly string[]): void {
  reply.set(names.length)
  for (const name of names) reply.status(name)
}

function namesOf(bits: number, names: readonly (readonly [number, string])[]): string[] {
  return names.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name)
}

function replyKeySpec(reply: ReplySink, spec: KeySpec): void {
  reply.map(spec.notes === undefined ? 3 : 4)
  if (spec.notes !== undefined) {
    reply.bulkText('notes')
    reply.bulkText(spec.notes)
  }
  reply.bulkText('flags')
  replyStatusSet(reply, spec.flags)
  reply.bulkText('begin_search')
  replyPart(reply, spec.begin.type, beginFields(spec.begin))
  reply.bulkText('find_keys')
  replyPart(reply, spec.find.type, findFields(spec.find))
}

function replyPart(reply: ReplySink, type: string, fields: readonly (readonly [string, string | number])[]): void {
  reply.map(2)
  reply.bulkText('type')
  reply.bulkText(type)
  reply.bulkText('spec')
  reply.map(fields.length)
  for (const [name, value] of fields) {
    reply.bulkText(name)
    if (typeof value === 'number') reply.integer(value)
    else reply.bulkText(value)
  }
}

function beginFields(begin: KeySpec['begin']): (readonly [string, string | number])[] {
  if (begin.type === 'unknown') return []
  if (begin.type === 'index') return [['index', begin.index]]
  return [
    ['keyword', begin.keyword],
    ['startfrom', begin.startFrom],
  ]
}

function findFields(find: KeySpec['find']): (readonly [string, string | number])[] {
  if (find.type === 'unknown') return []
  if (find.type === 'range') {
    return [
      ['lastkey', find.lastKey],
      ['keystep', find.step],
      ['limit', find.limit],
    ]
  }
  return [
    ['keynumidx', find.keyNumIndex],
    ['firstkey', find.firstKey],
    ['keystep', find.step],
  ]
}
