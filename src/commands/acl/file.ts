/**
 * ACL LOAD | SAVE
 *
 * Reply: OK. LOAD changes all users or, when a line is wrong, none; connections of users that are gone are closed, others
 * go on with the new rules. Errors: no ACL file is configured; what is wrong in the file; the file cannot be written.
 * Source: Valkey src/acl.c `aclCommand`.
 */
import { AclFileError, loadAclFile, saveAclFile } from '../../access/acl-file.ts'
import { systemErrorText } from '../../config/system-error.ts'
import type { Args } from '../../resp/args.ts'
import { ACL_SAVE_FAILED, err, NO_ACL_FILE } from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import type { CommandContext } from '../context.ts'
import { ALL_NODES, aclCommand, For } from './acl-command.ts'

export const load = aclCommand(For.Administrators, {
  name: 'load',
  summary: 'Loads the users from the ACL file.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of users.',
  arity: 2,
  handler: loadHandler,
})

export const save = aclCommand(For.Administrators, {
  name: 'save',
  summary: 'Writes the users to the ACL file.',
  since: '6.0.0',
  complexity: 'O(N), N being the number of users.',
  arity: 2,
  tips: ALL_NODES,
  handler: saveHandler,
})

function loadHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  try {
    loadAclFile(ctx.server.users, aclPath(ctx), ctx.config.text('aclfile'))
  } catch (error) {
    if (error instanceof AclFileError) throw err(error.message)
    throw error
  }
  reply.ok()
}

function saveHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const path = aclPath(ctx)
  try {
    saveAclFile(ctx.server.users, path)
  } catch (error) {
    ctx.server.log.warning(`Cannot write the ACL file ${path}: ${systemErrorText(error)}`)
    throw ACL_SAVE_FAILED
  }
  reply.ok()
}

/** @throws NO_ACL_FILE */
function aclPath(ctx: CommandContext): string {
  const file = ctx.config.text('aclfile')
  if (file === '') throw NO_ACL_FILE
  return ctx.config.resolvePath(file)
}
