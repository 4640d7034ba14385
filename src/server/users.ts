/** Users at the start: from `user` lines of the configuration, or from a file of their own. */
import { loadAclFile } from '../access/acl-file.ts'
import { isOneWord, RuleError } from '../access/rules.ts'
import type { Users } from '../access/users.ts'
import type { Config } from '../config/config.ts'
import { fatalConfigError } from '../config/config-error.ts'
import type { Log } from '../observe/log.ts'

/** Adds the users that are configured. @throws ConfigError, AclFileError */
export function loadUsers(users: Users, config: Config, log: Log): void {
  const file = config.text('aclfile')
  if (file !== '' && config.users.length > 0)
    throw fatalConfigError(
      null,
      'Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This setup is very likely to lead to configuration errors and security holes, please define either an ACL file or declare users directly in your redis.conf, but not both.',
    )
  for (const { name, rules, line } of config.users) {
    if (!isOneWord(name)) throw fatalConfigError(line, 'Spaces not allowed in ACL usernames')
    try {
      users.set(name, ['reset', ...rules])
    } catch (error) {
      if (error instanceof RuleError) throw fatalConfigError(line, error.message)
      throw error
    }
  }
  if (file !== '') loadAclFile(users, config.resolvePath(file), file)
  for (const { name, isEnabled } of users) {
    if (isEnabled) continue
    log.notice(
      `The user '${name}' is disabled (there is no 'on' modifier in the user description). Make sure this is not a configuration error.`,
    )
  }
}
