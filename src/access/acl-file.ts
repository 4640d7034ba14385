/**
 * The ACL file: one `user` line for each user. It is rewritten as a whole, so it has no comments. Cold.
 * Source: Valkey src/acl.c `ACLLoadFromFile`, `ACLSaveToFile`.
 */
import { readFileSync } from 'node:fs'
import { systemErrorText } from '../config/system-error.ts'
import { replaceFile } from '../files/replace-file.ts'
import { describeUser, isOneWord, mergeSelectors, RuleError } from './rules.ts'
import type { User } from './user.ts'
import type { Users } from './users.ts'

const FILE_MODE = 0o644
const ENDS = /^[ \t\r\n]+|[ \t\r\n]+$/g

/** The users cannot be loaded; nothing has changed. `message` is one line that names all that is wrong. */
export class AclFileError extends Error {
  override readonly name = 'AclFileError'
}

/** The rule text of a user as in redis.conf and in an ACL file. */
export function userLine(user: User): string {
  return `user ${user.name} ${describeUser(user)}`
}

/**
 * Makes the users those of the file.
 *
 * @param path absolute path of the file
 * @param shownPath the path as it was configured, for messages
 * @throws AclFileError
 */
export function loadAclFile(users: Users, path: string, shownPath: string): void {
  const errors: string[] = []
  const loaded = new Map<string, User>()
  for (const [i, raw] of readAclFile(path, shownPath).split('\n').entries()) {
    const line = raw.replace(ENDS, '')
    if (line !== '') addUser(users, loaded, line, { at: `${shownPath}:${i + 1}`, number: i + 1, errors })
  }
  if (errors.length > 0) {
    const outcome = 'WARNING: ACL errors detected, no change to the previously active ACL rules was performed'
    throw new AclFileError([...errors, outcome].join(' '))
  }
  users.replaceAll(loaded)
}

function readAclFile(path: string, shownPath: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    throw new AclFileError(`Error loading ACLs, opening file '${shownPath}': ${systemErrorText(error)}`)
  }
}

/** Where a line stands, and what is wrong so far. */
interface LineReport {
  readonly at: string
  readonly number: number
  readonly errors: string[]
}

function addUser(users: Users, loaded: Map<string, User>, line: string, report: LineReport): void {
  const { at, number, errors } = report
  const [keyword, name, ...rules] = line.split(' ')
  if (keyword !== 'user' || name === undefined) {
    errors.push(`${at} should start with user keyword followed by the username.`)
    return
  }
  if (!isOneWord(name)) {
    errors.push(`'${at}: username '${name}' contains invalid characters.`)
    return
  }
  if (loaded.has(name)) {
    errors.push(`WARNING: Duplicate user '${name}' found on line ${number}.`)
    return
  }
  const user = users.draft(null, name, [])
  loaded.set(name, user)
  const merged = mergeSelectors(rules)
  if (typeof merged === 'number') {
    errors.push(`${at}: Unmatched parenthesis in selector definition.`)
    return
  }
  let hasOtherError = false
  for (const rule of merged) {
    try {
      users.apply(user, rule.replace(ENDS, ''))
    } catch (error) {
      if (!(error instanceof RuleError)) throw error
      // A rule may hold a password: only those that name commands are shown. After the first other error, more follow from it.
      if (error.isUnknownName) errors.push(`${at}: Error in applying operation '${rule}': ${error.message}.`)
      else if (!hasOtherError) errors.push(`${at}: ${error.message}.`)
      hasOtherError ||= !error.isUnknownName
    }
  }
}

/** Writes all users to a file, in one step. @throws the errors of node:fs */
export function saveAclFile(users: Users, path: string): void {
  const text = [...users].map((user) => `${userLine(user)}\n`).join('')
  replaceFile(path, Buffer.from(text, 'latin1'), { mode: FILE_MODE })
}
