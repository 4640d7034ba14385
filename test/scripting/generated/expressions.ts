/**
 * Expressions of generated Lua programs. Each is asked for by type, so that most programs run far before they fail; now
 * and then another type is given, which makes the errors.
 */
import type { Random } from '../../differential/random.ts'
import { directive, numberLiteral, pattern, replacement, stringLiteral, stringValue, subject } from './literals.ts'

export type Type = 'number' | 'string' | 'boolean' | 'table' | 'function' | 'nil'

export interface Local {
  readonly name: string
  /** What it most likely holds. */
  readonly type: Type
}

const TYPES: readonly Type[] = ['number', 'string', 'boolean', 'table', 'function', 'nil']
export const FIELDS = ['a', 'b', 'x', 'n', 'name', 'constructor', '__proto__', 'length', 'toString']
const ARITHMETIC = ['+', '-', '*', '/', '%', '^', '+', '-', '*']
const ORDER = ['<', '<=', '>', '>=']
const EVENTS = [
  '__add',
  '__sub',
  '__mul',
  '__div',
  '__mod',
  '__pow',
  '__unm',
  '__concat',
  '__eq',
  '__lt',
  '__le',
  '__call',
]
const MATH_UNARY = ['floor', 'ceil', 'abs', 'sqrt', 'floor', 'deg', 'rad']
const PACK_FORMATS = ['>I2', '<i4', 'b', 'B', 'h', 'H', 'l', 'L', 'd', 'f', 's', '>i3', '<I5', 'c4', 'x', '!4 i4', 'T']

export abstract class ExpressionWriter {
  protected readonly random: Random
  /** Variables in sight, the innermost last. */
  protected locals: Local[] = []
  protected isVararg = true
  /** Whether expressions should not fail: those outside of protected calls of most programs. */
  protected isCareful = false
  /** Whether it has neither functions of its own nor loops. */
  protected isPlain = false

  constructor(random: Random) {
    this.random = random
  }

  /** `function (…) … end` without the keyword. */
  protected abstract functionRest(parameters: readonly Local[], depth: number): string

  protected anyType(): Type {
    return this.random.pick(TYPES)
  }

  protected anything(depth: number): string {
    return this.expression(this.anyType(), depth)
  }

  protected expression(type: Type, depth: number): string {
    const { random } = this
    if (this.isCareful) return this.careful(type, depth)
    const wanted = random.chance(3) ? this.anyType() : type
    if (random.chance(depth <= 0 ? 70 : 30)) {
      const known = this.locals.filter((local) => local.type === wanted)
      if (known.length > 0) return random.pick(known).name
    }
    if (random.chance(4) && depth > 0) return `(${this.expression(wanted, depth - 1)})`
    if (random.chance(4) && depth > 0) return this.choice(wanted, depth - 1)
    if (random.chance(4)) return this.fieldRead(depth - 1)
    switch (wanted) {
      case 'number':
        return this.number(depth)
      case 'string':
        return this.string(depth)
      case 'boolean':
        return this.boolean(depth)
      case 'table':
        return this.table(depth)
      case 'function':
        return this.func(depth)
      default:
        return random.chance(60) ? 'nil' : this.fieldRead(depth - 1)
    }
  }

  /** An expression that does not fail, if variables hold what is said of them. */
  private careful(type: Type, depth: number): string {
    const { random } = this
    const known = this.locals.filter((local) => local.type === type)
    if (known.length > 0 && random.chance(40)) return random.pick(known).name
    const [a, b] = depth > 0 ? [this.careful(type, depth - 1), this.careful(type, depth - 1)] : ['', '']
    switch (type) {
      case 'number':
        return depth > 0 && random.chance(50) ? this.joined(a, random.pick(ARITHMETIC), b) : numberLiteral(random)
      case 'string':
        return depth > 0 && random.chance(50) ? this.joined(a, '..', b) : stringLiteral(random)
      case 'boolean':
        if (depth <= 0) return random.pick(['true', 'false'])
        return random.pick([
          `not ${a}`,
          `(${a} and ${b})`,
          `(${a} == ${b})`,
          `(${this.careful('number', 1)} < ${this.careful('number', 1)})`,
        ])
      case 'table':
        return random.chance(80) ? this.plainTable() : `{${this.careful('string', 1)}, {${this.careful('number', 1)}}}`
      case 'function':
        return this.func(depth)
      default:
        return 'nil'
    }
  }

  /** Several expressions, separated by commas; the last may give many values. */
  protected expressions(least: number, most: number, depth: number): string {
    const list = this.random.some(least, most, () => this.anything(depth))
    if (this.random.chance(15)) list.push(this.many(depth))
    return list.join(', ')
  }

  /** What gives any number of values. */
  protected many(depth: number): string {
    const { random } = this
    switch (random.below(6)) {
      case 0:
        return this.isVararg ? '...' : 'unpack({1, nil, 3})'
      case 1:
        return `unpack(${this.list(depth - 1)})`
      case 2:
        return `string.byte(${stringLiteral(random)}, 1, ${random.below(5)})`
      case 3:
        return `string.find(${this.subject(depth)}, ${this.pattern()})`
      case 4:
        return `select(${random.pick(['1', '2', '-1', '"#"', '0', '5'])}, ${this.isVararg ? '...' : '1, "b", nil'})`
      default:
        return this.call(depth - 1)
    }
  }

  protected call(depth: number): string {
    const args = depth > 0 ? this.expressions(0, 3, depth - 1) : ''
    const callee = this.expression('function', 0)
    return `${/^[a-z_]\w*$/i.test(callee) && callee !== 'nil' ? callee : `(${callee})`}(${args})`
  }

  private choice(type: Type, depth: number): string {
    const [a, b] = [this.expression(type, depth), this.expression(type, depth)]
    return this.random.pick([
      `(${this.anything(depth)} and ${a} or ${b})`,
      `(${a} or ${b})`,
      `(${a} and ${b})`,
      `${a} or ${b}`,
      `${this.anything(depth)} and ${a}`,
    ])
  }

  /** A table whose border `#` does not depend on how it came to be. */
  private list(depth: number): string {
    return this.isPlain ? `(${this.table(depth)})` : `H(${this.expression('table', depth)})`
  }

  private fieldRead(depth: number): string {
    const table = this.prefix('table', depth)
    if (this.random.chance(60)) return `${table}.${this.random.pick(FIELDS)}`
    return `${table}[${this.random.chance(60) ? this.expression('number', 0) : this.anything(Math.min(1, depth))}]`
  }

  /** An expression that an index or a call may follow. */
  protected prefix(type: Type, depth: number): string {
    const text = this.expression(type, Math.min(depth, 1))
    return /^[a-z_]\w*(\.\w+)*$/i.test(text) && !/^(nil|true|false)$/.test(text) ? text : `(${text})`
  }

  private number(depth: number): string {
    const { random } = this
    if (depth <= 0) return numberLiteral(random)
    const n = (): string => this.expression('number', depth - 1)
    const s = (): string => this.expression('string', depth - 1)
    switch (random.below(22)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        return this.joined(n(), random.pick(ARITHMETIC), n())
      case 6:
        return `-${this.operand(n())}`
      case 7:
        return random.chance(50) ? `#${this.prefix('string', depth - 1)}` : `#${this.list(depth - 1)}`
      case 8:
        return `math.${random.pick(MATH_UNARY)}(${n()})`
      case 9:
        return `math.${random.pick(['max', 'min'])}(${n()}, ${n()}, ${n()})`
      case 10:
        return `math.${random.pick(['fmod', 'mod', 'pow', 'ldexp'])}(${n()}, ${random.pick(['2', '3', '-2', '0.5', n()])})`
      case 11:
        return `tonumber(${random.chance(80) ? s() : this.anything(depth - 1)})`
      case 12:
        return `tonumber(${s()}, ${random.pick(['2', '8', '10', '16', '36', '1', '37', n()])})`
      case 13:
        return `(${s()}):${random.pick(['len()', 'byte()', 'byte(-1)', `find(${this.pattern()})`, 'byte(2)'])}`
      case 14:
        return `bit.${random.pick(['band', 'bor', 'bxor'])}(${n()}, ${n()})`
      case 15:
        return `bit.${random.pick(['lshift', 'rshift', 'arshift', 'rol', 'ror'])}(${n()}, ${n()})`
      case 16:
        return `bit.${random.pick(['tobit', 'bnot', 'bswap'])}(${n()})`
      case 17:
        return `(select("#", ${this.expressions(1, 3, depth - 1)}))`
      case 18:
        return random.pick([`table.getn(${this.table(depth - 1)})`, `table.maxn(${this.table(depth - 1)})`])
      case 19:
        return random.pick([`math.modf(${n()})`, `math.frexp(${n()})`, `(math.modf(${n()}))`])
      case 20:
        return `struct.size(${stringLiteral(random, random.pick(PACK_FORMATS))})`
      default:
        return numberLiteral(random)
    }
  }

  private joined(a: string, operator: string, b: string): string {
    const text = `${a} ${operator} ${b}`
    return this.random.chance(60) ? `(${text})` : text
  }

  /** After a minus sign, a second one would begin a comment. */
  private operand(text: string): string {
    return text.startsWith('-') ? `(${text})` : text
  }

  private subject(depth: number): string {
    return this.random.chance(50)
      ? stringLiteral(this.random, subject(this.random))
      : this.expression('string', depth - 1)
  }

  private pattern(): string {
    return stringLiteral(this.random, pattern(this.random))
  }

  private string(depth: number): string {
    const { random } = this
    if (depth <= 0) return stringLiteral(random)
    const n = (): string => this.expression('number', depth - 1)
    const s = (): string => this.expression('string', depth - 1)
    switch (random.below(24)) {
      case 0:
      case 1:
      case 2:
        return this.joined(s(), '..', random.chance(70) ? s() : n())
      case 3:
      case 4:
        return `tostring(${this.expression(random.pick(['number', 'number', 'boolean', 'nil'] as const), depth - 1)})`
      case 5:
      case 6:
      case 7:
        return this.format(depth)
      case 8:
        return `${this.prefix('string', depth - 1)}:sub(${n()}${random.chance(60) ? `, ${n()}` : ''})`
      case 9:
        return `${this.prefix('string', depth - 1)}:${random.pick(['upper()', 'lower()', 'reverse()', 'rep(2)', 'rep(0)'])}`
      case 10:
      case 11:
      case 12:
        return this.gsub(depth)
      case 13:
      case 14:
        return `(string.match(${this.subject(depth)}, ${this.pattern()}${random.chance(20) ? `, ${n()}` : ''}))`
      case 15:
        return `table.concat({${this.expression('string', depth - 1)}, ${n()}}${random.chance(50) ? `, ${s()}` : ''})`
      case 16:
        return `type(${this.anything(depth - 1)})`
      case 17:
        return `cjson.encode(${this.flatList(depth)})`
      case 18:
        return `cmsgpack.pack(${this.flatList(depth)})`
      case 19: {
        const format = random.some(1, 3, () => random.pick(PACK_FORMATS)).join('')
        return `struct.pack(${stringLiteral(random, format)}, ${n()}, ${random.chance(70) ? n() : s()}, ${n()})`
      }
      case 20:
        return `string.char(${random.some(0, 3, () => String(random.below(260))).join(', ')})`
      case 21:
        return `bit.tohex(${n()}${random.chance(40) ? `, ${random.below(17) - 8}` : ''})`
      case 22:
        return random.pick([`redis.sha1hex(${s()})`, `select(2, pcall(${this.func(depth - 1)}))`])
      default:
        return stringLiteral(random)
    }
  }

  private format(depth: number): string {
    const { random } = this
    const args: string[] = []
    const text = random
      .some(1, 3, () => {
        const { text, kind } = directive(random)
        if (!random.chance(2)) args.push(this.expression(kind, depth - 1))
        return text + random.pick(['', ' ', '|', '%%', ','])
      })
      .join('')
    return `string.format(${[stringLiteral(random, text), ...args].join(', ')})`
  }

  private gsub(depth: number): string {
    const { random } = this
    const by = random.below(4)
    const what =
      by < 2
        ? stringLiteral(random, replacement(random))
        : by === 2
          ? random.pick(['{a = "1", b = 2, x = false, [" "] = "_"}', this.expression('table', depth - 1)])
          : random.pick([
              'string.upper',
              this.isPlain ? 'type' : 'function(x, y) return y or x end',
              this.func(depth - 1),
            ])
    const limit = random.chance(25) ? `, ${random.pick(['0', '1', '2', '-1', '1.5'])}` : ''
    const text = `string.gsub(${this.subject(depth)}, ${this.pattern()}, ${what}${limit})`
    return random.chance(70) ? `(${text})` : text
  }

  private boolean(depth: number): string {
    const { random } = this
    if (depth <= 0) return random.pick(['true', 'false'])
    switch (random.below(10)) {
      case 0:
      case 1:
        return this.joined(
          this.expression('number', depth - 1),
          random.pick(ORDER),
          this.expression('number', depth - 1),
        )
      case 2:
        return this.joined(
          this.expression('string', depth - 1),
          random.pick(ORDER),
          this.expression('string', depth - 1),
        )
      case 3:
      case 4: {
        const type = this.anyType()
        return this.joined(
          this.expression(type, depth - 1),
          random.pick(['==', '~=']),
          this.expression(type, depth - 1),
        )
      }
      case 5:
        return `not ${this.operand(this.anything(depth - 1))}`
      case 6:
        return `${this.expression('boolean', depth - 1)} ${random.pick(['and', 'or'])} ${this.expression('boolean', depth - 1)}`
      case 7:
        return `rawequal(${this.anything(depth - 1)}, ${this.anything(depth - 1)})`
      case 8:
        return `(${this.anything(depth - 1)} ${random.pick(ORDER)} ${this.anything(depth - 1)})`
      default:
        return random.pick(['true', 'false'])
    }
  }

  /** Data that serialisers write in the same order on both sides: lists and one-field tables. */
  private flatList(depth: number): string {
    const item = (level: number): string => {
      if (level > 0 && this.random.chance(30)) return `{${this.random.some(0, 3, () => item(level - 1)).join(', ')}}`
      if (level > 0 && this.random.chance(15)) return `{${this.random.pick(FIELDS)} = ${item(level - 1)}}`
      // A variable of a plain program may hold a table of several fields by now.
      if (this.isPlain) return this.random.chance(50) ? numberLiteral(this.random) : stringLiteral(this.random)
      return this.expression(this.random.pick(['number', 'string', 'boolean'] as const), Math.min(1, depth - 1))
    }
    return item(3)
  }

  private table(depth: number): string {
    const { random } = this
    if (depth <= 0) return this.plainTable()
    switch (random.below(12)) {
      case 0:
        return `setmetatable(${this.table(depth - 1)}, ${this.metatable(depth - 1)})`
      case 1:
        return `cjson.decode(${random.chance(60) ? `cjson.encode(${this.flatList(depth)})` : this.expression('string', depth - 1)})`
      case 2:
        return `cmsgpack.unpack(${random.chance(70) ? `cmsgpack.pack(${this.flatList(depth)})` : this.expression('string', depth - 1)})`
      case 3: {
        const format = stringLiteral(random, random.some(1, 2, () => random.pick(PACK_FORMATS)).join(''))
        return `{struct.unpack(${format}, struct.pack(${format}, 65, 66, 67)${random.chance(20) ? ', 2' : ''})}`
      }
      case 4:
        return `{${this.many(depth)}}`
      case 5:
        return `{pcall(${this.func(depth - 1)}, ${this.expressions(1, 2, depth - 1)})}`
      default:
        return `{${random.some(0, 4, () => this.tableItem(depth - 1)).join(random.pick([', ', '; ']))}${random.chance(20) ? ` ${random.chance(50) ? ';' : ''}` : ''}}`.replace(
          '{ ;}',
          '{}',
        )
    }
  }

  private plainTable(): string {
    return this.random.pick(['{}', '{1, 2, 3}', '{"b", "a"}', '{a = 1, b = "x"}', '{n = 2, 5, nil, 7}'])
  }

  private tableItem(depth: number): string {
    const value = this.anything(depth)
    switch (this.random.below(5)) {
      case 0:
        return `${this.random.pick(FIELDS)} = ${value}`
      case 1:
        return `[${this.anything(Math.min(1, depth))}] = ${value}`
      default:
        return value
    }
  }

  protected metatable(depth: number): string {
    const { random } = this
    const events = random.some(1, 3, () => {
      const event = random.chance(40)
        ? random.pick(['__index', '__newindex', '__tostring', '__metatable'])
        : random.pick(EVENTS)
      const isTable = event === '__index' && random.chance(50)
      const handler = isTable ? this.table(depth - 1) : this.func(depth - 1)
      return `${event} = ${event === '__newindex' && handler === 'next' ? 'rawget' : handler}`
    })
    return `{${events.join(', ')}}`
  }

  private func(depth: number): string {
    const { random } = this
    if (depth <= 0 || this.isPlain) {
      const builtins = ['tostring', 'type', 'tonumber', 'string.upper', 'math.floor', 'pcall', 'select', 'rawget']
      const last = this.isPlain ? 'rawequal' : 'function() end'
      // Not `string.rep`: with a large number redis-server fills the memory of the machine.
      return random.pick([...builtins, 'string.reverse', 'table.concat', last, 'unpack', 'next', 'assert'])
    }
    return `function${this.functionRest([], depth - 1)}`
  }

  /** A string that a program may keep: never long. */
  protected shortString(depth: number): string {
    return `L(${this.expression('string', depth)})`
  }

  protected key(): string {
    return `"k${this.random.below(4)}"`
  }

  protected stringValue(): string {
    return stringValue(this.random)
  }
}
