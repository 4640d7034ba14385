/** A user's description makes the same user again, whatever rules have made it. */
import { expect, test } from 'vitest'
import { describeUser, mergeSelectors, RuleError } from '../../src/access/rules.ts'
import { Users } from '../../src/access/users.ts'
import { commandFamilies } from '../../src/commands/index.ts'
import { Registry } from '../../src/commands/registry.ts'
import { Random } from '../differential/random.ts'

const SEED = Number(process.env.MILLRACE_SEED ?? 11)
const ROUNDS = Number(process.env.MILLRACE_ROUNDS ?? 500)

const registry = new Registry(commandFamilies)
const commands = [...registry.controlled()].flatMap((command) => [command, ...(command.subcommands?.values() ?? [])])

const RULES: readonly string[] = [
  ...['on', 'off', 'nopass', 'resetpass', 'reset', 'allkeys', 'resetkeys', 'allchannels', 'resetchannels', '+@all'],
  ...['-@all', 'clearselectors', '>a', '>b c', '<a', '~x*', '%R~y', '%W~y', '%RW~z[a-c]', '&ch*', '&\xff', '+select|0'],
  ...['(+get ~x)', '(-@all +@read %R~a &b)', '(+@all -debug allkeys)', '~"q', 'skip-sanitize-payload', '', '~', '&'],
]

function randomRule(random: Random): string {
  const kind = random.below(10)
  if (kind < 4) return random.pick(RULES)
  const sign = random.pick(['+', '-'])
  if (kind < 6) return `${sign}@${random.pick(['read', 'Write', 'fast', 'dangerous', 'pubsub', 'list', 'admin'])}`
  if (kind < 9) return `${sign}${random.pick(commands).aclName}`
  return Array.from({ length: random.below(6) }, () => String.fromCharCode(random.below(256))).join('')
}

test('the description of a user makes the same user', () => {
  const random = new Random(SEED)
  const users = new Users(registry, '7.2')
  let applied = 0
  for (let round = 0; round < ROUNDS; round++) {
    const rules = random.some(1, 8, () => randomRule(random))
    try {
      users.set('ann', rules)
      applied++
    } catch (error) {
      expect(error, rules.join(' ')).toBeInstanceOf(RuleError)
      continue
    }
    const ann = users.find('ann')!
    const line = describeUser(ann)
    const merged = mergeSelectors(line.split(' '))
    expect(merged, line).toBeInstanceOf(Array)
    const again = users.draft(null, 'ann', merged as string[])
    expect(describeUser(again)).toBe(line)
    ann.selectors.forEach((selector, i) => {
      const other = again.selectors[i]!
      expect(
        commands.filter(({ aclId }) => selector.hasCommand(aclId) !== other.hasCommand(aclId)),
        line,
      ).toEqual([])
      expect(other.keyPatterns).toEqual(selector.keyPatterns)
      expect(other.channelPatterns).toEqual(selector.channelPatterns)
      expect(other.allowsEverything).toBe(selector.allowsEverything)
    })
  }
  expect(applied).toBeGreaterThan(ROUNDS / 4)
})
