/**
 * FCALL function numkeys [key [key ...]] [arg [arg ...]]
 * FCALL_RO function numkeys [key [key ...]] [arg [arg ...]]
 *
 * Calls a function of a library, atomically.
 *
 * Reply: what the function returns. Errors, in this order: no such function, numkeys, what refuses the run.
 * Source: Redis src/functions.c `fcallCommandGeneric`, `fcallGetCommandFlags`, src/commands/fcall*.json.
 */
import type { Args } from '../../resp/args.ts'
import { FUNCTION_KEY_COUNT, FUNCTION_NOT_FOUND } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, defineCommand } from '../define.ts'
import {
  flagsOfScript,
  noteFailure,
  parseKeyCount,
  READ_ONLY_FLAGS,
  READ_ONLY_KEYS,
  READ_WRITE_FLAGS,
  READ_WRITE_KEYS,
} from './eval.ts'
import { EvalMode, scriptRunner } from './script-runner.ts'

const COMPLEXITY = 'Depends on the function that is executed.'

export const fcall = defineCommand({
  name: 'fcall',
  summary: 'Calls a function.',
  group: 'scripting',
  since: '7.0.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: READ_WRITE_FLAGS,
  categories: AclCategory.Scripting,
  keys: READ_WRITE_KEYS,
  callFlags: (ctx, args) => flagsOfFunction(ctx, args, READ_WRITE_FLAGS),
  handler: (ctx, args, reply) => call(ctx, args, EvalMode.ReadWrite, reply),
})

export const fcallRo = defineCommand({
  name: 'fcall_ro',
  summary: 'Calls a function that must not write.',
  group: 'scripting',
  since: '7.0.0',
  complexity: COMPLEXITY,
  arity: -3,
  flags: READ_ONLY_FLAGS,
  categories: AclCategory.Scripting,
  keys: READ_ONLY_KEYS,
  callFlags: (ctx, args) => flagsOfFunction(ctx, args, READ_ONLY_FLAGS),
  handler: (ctx, args, reply) => call(ctx, args, EvalMode.ReadOnly, reply),
})

function flagsOfFunction(ctx: CommandContext, args: Args, commandFlags: number): number {
  return flagsOfScript(scriptRunner(ctx).functions.find(args.text(1))?.fn.flags ?? null, commandFlags)
}

function call(ctx: CommandContext, args: Args, mode: EvalMode, reply: ReplySink): void {
  const runner = scriptRunner(ctx)
  const found = runner.functions.find(args.text(1))
  if (found === null) throw FUNCTION_NOT_FOUND
  runner.runFunction(found, args, parseKeyCount(args, FUNCTION_KEY_COUNT), mode, reply)
  noteFailure(ctx, args)
}
