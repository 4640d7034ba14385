/**
 * Generated Lua programs: a grammar that knows about scopes and types, so that most of a program runs. The same seed
 * gives the same program.
 *
 * Programs end by themselves: `T()` in each loop and function counts steps and raises when there are too many, and `L()`
 * keeps strings short. `D(…)` notes values in `out`, tables with sorted keys; `P(f)` notes what a protected call gives.
 * `H(t)` gives another table where `t` has holes. What differs by nature (addresses, the order of `pairs`) is not printed.
 */
import type { Random } from '../../differential/random.ts'
import { ExpressionWriter, FIELDS, type Local, type Type } from './expressions.ts'
import { stringLiteral } from './literals.ts'

const PRELUDE = `local out, N, dump = {}, 0
local function T() N = N + 1 if N > 150 then error("too many steps", 0) end end
local function L(s) return type(s) == "string" and s:sub(1, 80) or s end
dump = function(v, level)
  local kind = type(v)
  if kind == "number" then return string.format("%.17g", v) end
  if kind == "string" then return "'" .. v .. "'" end
  if kind ~= "table" then return kind == "function" and "f" or kind == "boolean" and tostring(v) or kind end
  if level > 3 then return "{...}" end
  local parts = {}
  for key, value in next, v do parts[#parts + 1] = dump(key, level + 1) .. "=" .. dump(value, level + 1) end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end
local function D(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = dump((select(i, ...)), 0) end
  if #out < 60 then out[#out + 1] = table.concat(parts, " ") end
end
local function P(f, ...) D(pcall(f, ...)) end
local function H(t)
  if type(t) ~= "table" or getmetatable(t) ~= nil then return t end
  local most, count = 0, 0
  for key in next, t do if type(key) == "number" and key >= 1 and key % 1 == 0 then most, count = math.max(most, key), count + 1 end end
  return most == count and t or {1, 2, 3}
end
`

/** Names of locals; some mean something in JavaScript. */
const NAMES = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'f',
  'g',
  'x',
  'y',
  'i',
  's',
  't',
  'var',
  'new',
  'this',
  'self',
  'arguments',
  'n',
]
const LIST_TYPES: readonly Type[] = ['number', 'string', 'boolean', 'table', 'function', 'number', 'string', 'table']
/** Replies of all kinds (DEBUG PROTOCOL). */
const PROTOCOL = [
  'string',
  'integer',
  'double',
  'null',
  'array',
  'set',
  'map',
  'true',
  'false',
  'verbatim',
  'attrib',
  'bignum',
]

export interface Program {
  readonly text: string
  readonly respVersion: '2' | '3'
}

export function generateProgram(random: Random): Program {
  const program = new ProgramWriter(random).program()
  return random.chance(30)
    ? { ...program, text: PRELUDE + broken(random, program.text.slice(PRELUDE.length)) }
    : program
}

/** A program without loops and functions, which is not compiled when it runs for the first time. */
export function generatePlainProgram(random: Random): Program {
  const program = new ProgramWriter(random).plainProgram()
  return random.chance(40) ? { ...program, text: broken(random, program.text) } : program
}

const TOKEN = /"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|\[(=*)\[[\s\S]*?\]\1\]|[A-Za-z_]\w*| +|[\s\S]/g

/** The program with breaks in its lines, so that an expression may stand on several. */
function broken(random: Random, text: string): string {
  const tokens = text.match(TOKEN) ?? []
  return tokens
    .map((token, i) => (/^ +$/.test(token) && tokens[i + 1] !== '(' && random.chance(20) ? '\n' : token))
    .join('')
}

class ProgramWriter extends ExpressionWriter {
  private lines: string[] = []
  private indent = 0
  private loopDepth = 0
  private isInFunction = false
  private budget = 0
  /** Errors of the program end it, instead of each part being run in a protected call. */
  private isNaked = false
  private hasCoroutines = false
  private usesCommands = false

  program(): Program {
    const { random } = this
    this.isNaked = random.chance(30)
    this.hasCoroutines = random.chance(8)
    this.usesCommands = random.chance(25)
    this.isCareful = !this.isNaked
    this.budget = 6 + random.below(20)
    if (this.usesCommands) this.line('redis.call("DEL", "k0", "k1", "k2", "k3")')
    if (this.usesCommands && random.chance(40)) this.line('redis.setresp(3)')
    while (this.budget > 0) this.statement(3)
    if (!random.chance(40)) this.line('return out')
    else this.line(`return ${this.result()}`)
    return { text: PRELUDE + this.lines.join('\n'), respVersion: random.chance(30) ? '3' : '2' }
  }

  plainProgram(): Program {
    const { random } = this
    this.isNaked = true
    this.isPlain = true
    this.usesCommands = random.chance(40)
    this.budget = 2 + random.below(8)
    if (this.usesCommands) this.line('redis.call("DEL", "k0", "k1", "k2", "k3")')
    while (this.budget > 0) this.plainStatement(2)
    this.line(random.chance(50) ? `return {${this.plainValues()}}` : `return ${this.plainValues()}`)
    return { text: this.lines.join('\n'), respVersion: '2' }
  }

  /** Values in a form that shows all of them. */
  private plainValues(): string {
    const { random } = this
    return random
      .some(1, 3, () => {
        const type = this.anyType()
        if (type === 'number') return `string.format("%.14g", ${this.expression('number', 2)})`
        return type === 'string' ? this.expression('string', 3) : `tostring(${this.expression(type, 2)})`
      })
      .join(', ')
  }

  private plainStatement(depth: number): void {
    const { random } = this
    this.budget--
    const kind = random.below(10)
    if (kind < 4) this.declaration(2)
    else if (kind < 7 || depth === 0) this.assignment(2)
    else if (kind === 7) {
      const list = `{${random.some(0, 4, () => this.expression(random.pick(['number', 'string'] as const), 1)).join(', ')}}`
      this.line(`local t = ${list}`)
      this.locals.push({ name: 't', type: 'table' })
      this.line(`table.${random.pick(['insert', 'insert', 'remove', 'sort'])}(t, ${this.anything(1)})`)
    } else if (kind === 8) this.line(`local r = ${this.usesCommands ? this.command() : this.call(2)}`)
    else {
      this.line(`if ${this.anything(2)} then`)
      this.plainBlock(depth - 1)
      if (random.chance(30)) {
        this.line(`elseif ${this.anything(2)} then`)
        this.plainBlock(depth - 1)
      }
      if (random.chance(40)) {
        this.line('else')
        this.plainBlock(depth - 1)
      }
      this.line('end')
    }
  }

  private plainBlock(depth: number): void {
    const outer = this.locals
    this.indent++
    for (let count = this.random.below(3); count > 0; count--) this.plainStatement(depth)
    if (this.random.chance(30)) this.line(`return ${this.plainValues()}`)
    this.indent--
    this.locals = outer.slice()
  }

  private line(text: string): void {
    // Several statements on a line, now and then.
    const last = this.lines.length - 1
    if (last >= 0 && this.random.chance(8) && !/^(?:return|break)/.test(this.lines[last]!.trimStart()))
      this.lines[last] += ` ${text}`
    else this.lines.push('  '.repeat(this.indent) + text)
  }

  private result(): string {
    const { random } = this
    const value = this.anything(2)
    const kinds = [
      ...[value, value, `{${this.expressions(0, 4, 2)}}`, `{${value}, {${value}, {${value}}}}`, `${value}, 2`],
      ...[
        `{ok = ${this.expression('string', 1)}}`,
        `{err = ${stringLiteral(random)}}`,
        `{double = ${this.expression('number', 2)}}`,
      ],
      ...[
        '{map = {a = 1}}',
        '{map = {[1] = {double = 0.5}}}',
        '{set = {x = true}}',
        '{big_number = "123456789012345678901"}',
      ],
      ...['{verbatim_string = {format = "txt", string = "x"}}', `redis.error_reply(${stringLiteral(random)})`],
      ...[`redis.status_reply(${stringLiteral(random)})`, `{out, {double = 1}, false, nil, 5}`],
      ...(this.usesCommands ? [this.command(), this.command()] : []),
    ]
    return random.pick(kinds)
  }

  // Blocks

  private block(depth: number, declared: readonly Local[] = []): void {
    const outer = this.locals
    this.locals = [...outer, ...declared]
    this.indent++
    for (let count = this.random.below(4); count > 0; count--) this.statement(depth - 1)
    if (this.isInFunction && this.random.chance(12)) this.line(`return ${this.expressions(0, 2, 1)}`)
    else if (this.loopDepth > 0 && this.random.chance(12)) this.line('break')
    this.indent--
    this.locals = outer
  }

  protected functionRest(parameters: readonly Local[], depth: number): string {
    const { random } = this
    const outer = {
      isCareful: this.isCareful,
      lines: this.lines,
      isVararg: this.isVararg,
      isInFunction: this.isInFunction,
      loopDepth: this.loopDepth,
    }
    this.lines = []
    this.isInFunction = true
    this.isCareful = false
    this.loopDepth = 0
    this.isVararg = random.chance(25)
    const own: Local[] = random.some(0, 3, () => ({ name: random.pick(NAMES), type: random.pick(LIST_TYPES) }))
    const names = own.map((local) => local.name)
    if (this.isVararg) names.push('...')
    const locals = this.locals
    this.locals = [...locals, ...parameters, ...own]
    if (depth > 0) for (let count = random.below(3); count > 0; count--) this.statement(depth - 1)
    this.line(random.chance(80) ? `return ${this.expressions(0, 2, Math.max(0, depth))}` : '')
    this.locals = locals
    const body = this.lines.join(' ')
    Object.assign(this, outer)
    return `(${names.join(', ')}) T() ${body} end`
  }

  // Statements

  /** Writes a statement; what it returns means nothing. */
  private statement(depth: number): unknown {
    const { random } = this
    this.budget--
    if (depth <= 0) {
      if (random.chance(50)) this.probe(2)
      else this.assignment(1)
      return
    }
    switch (random.below(this.usesCommands ? 28 : 24)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.declaration(depth)
      case 4:
      case 5:
      case 6:
        return this.assignment(depth)
      case 7:
        return this.conditional(depth)
      case 8:
        return this.whileLoop(depth)
      case 9:
        return this.repeatLoop(depth)
      case 10:
      case 11:
        return this.numericLoop(depth)
      case 12:
      case 13:
        return this.genericLoop(depth)
      case 14: {
        this.line('do')
        this.block(depth)
        return this.line('end')
      }
      case 15:
        return this.functionStatement(depth)
      case 16:
        return this.boldly(() => this.tableStatement(depth))
      case 17:
        return this.boldly(() => this.raise(depth))
      case 18:
        return this.boldly(() => (this.hasCoroutines ? this.coroutine(depth) : this.chunk()))
      case 24:
      case 25:
      case 26:
      case 27:
        return this.line(`D(${this.boldly(() => this.command())})`)
      default:
        return this.probe(3)
    }
  }

  /** Runs with expressions that may fail. */
  private boldly<T>(run: () => T): T {
    const outer = this.isCareful
    this.isCareful = false
    const result = run()
    this.isCareful = outer
    return result
  }

  private probe(depth: number): void {
    this.boldly(() => this.probeBoldly(depth))
  }

  private probeBoldly(depth: number): void {
    const outer = this.isVararg
    // In the function of the protected call.
    if (!this.isNaked && outer) this.isVararg = this.random.chance(50)
    const values = this.expressions(1, 3, depth)
    const takesAny = this.isVararg
    this.isVararg = outer
    if (this.isNaked) this.line(`D(${values})`)
    else if (this.random.chance(80)) this.line(`P(function(${takesAny ? '...' : ''}) T() return ${values} end)`)
    else this.line(`P(${this.expression('function', depth)}, ${values})`)
  }

  private fresh(type: Type): Local {
    return { name: this.random.pick(NAMES), type }
  }

  private value(type: Type, depth: number): string {
    return type === 'string' && !this.isPlain ? this.shortString(depth) : this.expression(type, depth)
  }

  private declaration(depth: number): void {
    const { random } = this
    const locals = random.some(1, 2, () => this.fresh(random.pick(LIST_TYPES)))
    const names = locals.map((local) => local.name).join(', ')
    if (random.chance(10)) this.line(`local ${names}`)
    else if (random.chance(12)) this.line(`local ${names} = ${this.many(depth)}`)
    else this.line(`local ${names} = ${locals.map((local) => this.value(local.type, this.isNaked ? 2 : 1)).join(', ')}`)
    this.locals.push(...locals)
  }

  private target(): { text: string; type: Type } {
    const { random } = this
    const own = this.locals.filter((local) => local.name !== '...')
    if (own.length > 0 && random.chance(70)) {
      const local = random.pick(own)
      return { text: local.name, type: local.type }
    }
    const table = this.locals.filter((local) => local.type === 'table')
    if (table.length === 0) return random.chance(95) ? { text: 'N', type: 'number' } : { text: 'nowhere', type: 'nil' }
    const name = random.pick(table).name
    if (random.chance(60)) return { text: `${name}.${random.pick(FIELDS)}`, type: this.anyType() }
    // Where holes are, the border `#` depends on how tables grow.
    return {
      text: `${name}[${random.chance(70) && !this.isPlain ? `#H(${name}) + 1` : this.expression('string', 1)}]`,
      type: this.anyType(),
    }
  }

  private assignment(depth: number): void {
    const { random } = this
    const targets = random.some(1, random.chance(25) ? 3 : 1, () => this.target())
    if (this.isPlain && targets.some((target) => target.text === 'N')) {
      this.declaration(depth)
      return
    }
    const names = targets.map((target) => target.text).join(', ')
    const values = random.chance(8)
      ? this.many(depth)
      : targets.map((target) => this.value(target.text === 'N' ? 'number' : target.type, Math.min(2, depth))).join(', ')
    if (names.includes('N')) {
      this.probe(2)
      return
    }
    this.line(`${names} = ${values}`)
  }

  private conditional(depth: number): void {
    this.line(`if ${this.expression('boolean', 2)} then`)
    this.block(depth)
    if (this.random.chance(30)) {
      this.line(`elseif ${this.anything(2)} then`)
      this.block(depth)
    }
    if (this.random.chance(40)) {
      this.line('else')
      this.block(depth)
    }
    this.line('end')
  }

  private loopBody(depth: number, declared: readonly Local[] = []): void {
    this.loopDepth++
    this.indent++
    this.line('T()')
    this.indent--
    this.block(depth, declared)
    this.loopDepth--
  }

  private whileLoop(depth: number): void {
    this.line(`while ${this.expression('boolean', 2)} do`)
    this.loopBody(depth)
    this.line('end')
  }

  private repeatLoop(depth: number): void {
    this.line('repeat')
    const local = this.fresh('number')
    this.indent++
    this.line(`local ${local.name} = ${this.expression('number', 2)}`)
    this.indent--
    // A `break` or `return` would have to be last, so the body is a block of its own.
    this.line('do')
    this.loopBody(depth, [local])
    this.line('end')
    const outer = this.locals
    this.locals = [...outer, local]
    this.line(`until ${this.random.chance(60) ? `${local.name} ~= ${this.expression('number', 1)}` : this.anything(2)}`)
    this.locals = outer
  }

  private numericLoop(depth: number): void {
    const { random } = this
    const local = this.fresh('number')
    const small = (): string => (random.chance(85) ? String(random.below(9) - 3) : this.expression('number', 1))
    const step = random.chance(40) ? `, ${random.pick(['1', '2', '-1', '0.5', '-0.25', '"2"', small()])}` : ''
    this.line(`for ${local.name} = ${small()}, ${small()}${step} do`)
    if (random.chance(30)) this.line(`D(${local.name})`)
    this.loopBody(depth, [local])
    this.line('end')
  }

  private genericLoop(depth: number): void {
    const { random } = this
    const [key, value] = [this.fresh('number'), this.fresh('string')]
    const list = `{${this.expressions(0, 4, 1)}}`
    const iterators = [
      ...[
        `ipairs(${list})`,
        `ipairs(${this.expression('table', 2)})`,
        `pairs({${this.random.some(0, 3, () => this.expression('string', 1)).join(', ')}})`,
      ],
      ...[
        `string.gmatch(${this.expression('string', 1)}, ${stringLiteral(random, '(%a)(%d*)')})`,
        `next, {7, 8}`,
        'next, {7}, nil',
      ],
      ...[this.expression('function', 2), `${this.expression('function', 1)}, ${this.expressions(1, 2, 1)}`],
      'function(s, c) c = (c or 0) + 1 if c < 4 then return c, "v" .. c end end',
    ]
    this.line(`for ${key.name}, ${value.name} in ${random.pick(iterators)} do`)
    this.loopBody(depth, [key, value])
    this.line('end')
  }

  private functionStatement(depth: number): void {
    const { random } = this
    const tables = this.locals.filter((local) => local.type === 'table')
    if (tables.length > 0 && random.chance(40)) {
      const name = random.pick(tables).name
      if (random.chance(50)) this.line(`function ${name}.${random.pick(FIELDS)}${this.functionRest([], depth - 1)}`)
      else
        this.line(
          `function ${name}:${random.pick(FIELDS)}${this.functionRest([{ name: 'self', type: 'table' }], depth - 1)}`,
        )
      this.line(`D(${name}${random.pick(['.', ':'])}${random.pick(FIELDS)}(${this.expressions(0, 2, 1)}))`)
      return
    }
    const local = this.fresh('function')
    this.line(`local function ${local.name}${this.functionRest(random.chance(30) ? [local] : [], depth - 1)}`)
    this.locals.push(local)
    if (random.chance(60)) this.line(`D(pcall(${local.name}, ${this.expressions(1, 3, 1)}))`)
  }

  private tableStatement(depth: number): void {
    const { random } = this
    const table = this.prefix('table', 1)
    const n = (): string => this.expression('number', 1)
    const compare = random.pick([
      '',
      ', function(x, y) return x > y end',
      ', function(x, y) T() return tostring(x):sub(1, 3) < tostring(y):sub(1, 3) end',
      `, ${this.expression('function', depth)}`,
    ])
    const list = random.pick([
      `{${random.some(0, 9, n).join(', ')}}`,
      `{${random.some(0, 6, () => this.expression('string', 0)).join(', ')}}`,
      `H(${table})`,
    ])
    const text = random.pick([
      `local t = ${list} table.sort(t${compare}) D(t)`,
      `local t = ${list} table.insert(t, ${random.chance(50) ? `${random.below(4)}, ` : ''}${this.anything(1)}) D(t)`,
      `local t = ${list} D(table.remove(t${random.chance(50) ? `, ${random.below(4)}` : ''})) D(t)`,
      `D(table.concat(${list}, ${this.expression('string', 0)}, ${n()}, ${n()}))`,
      `D(unpack(${list}, ${random.below(5) - 1}, ${random.below(5)}))`,
      `D(table.concat(${list}, ","))`,
      `D(rawget(${table}, ${this.anything(1)}), rawset({}, ${this.anything(1)}, 1), getmetatable(${table}))`,
      `table.foreachi(${list}, function(i, v) T() D(i, v) end)`,
      `D(next(${list}) ~= nil, next({${n()}}))`,
    ])
    if (this.isNaked) this.line(`do ${text} end`)
    else this.line(`P(function() T() ${text} end)`)
  }

  private raise(depth: number): void {
    const { random } = this
    const level = random.chance(60) ? `, ${random.below(4)}` : ''
    const value = this.isNaked ? this.expression('string', 1) : this.anything(1)
    const text = random.pick([
      `error(${value}${level})`,
      `assert(${this.anything(2)}, ${this.expression('string', 1)})`,
      `local ${random.pick(NAMES)} = ${this.anything(depth)} + ${this.anything(1)}`,
    ])
    if (this.isNaked && random.chance(70)) {
      this.probe(2)
      return
    }
    if (this.isNaked) {
      const raised = text.startsWith('error') ? text.replace('error(', 'error("e" .. ') : text
      this.line(`if ${this.anything(1)} then ${raised} end`)
      return
    }
    const isNested = random.chance(30)
    const inner = isNested ? `(function() ${text} end)()` : text
    if (random.chance(25))
      this.line(
        `D(xpcall(function() T() ${inner} end, ${random.pick(['tostring', 'function(e) return e, 2 end', 'type'])}))`,
      )
    else this.line(`P(function() T() ${inner} end)`)
  }

  private chunk(): void {
    const { random } = this
    const inner = random.chance(30) ? 'return 1 +' : `return ${this.anything(1)}`
    const name = random.chance(40)
      ? `, ${random.pick(['"=name"', '"@file"', '"long name\\nwith lines"', '("x"):rep(90)'])}`
      : ''
    this.line(
      `D(pcall(function() T() local f, e = loadstring(${stringLiteral(random, inner)}${name}) if not f then return e end return f() end))`,
    )
  }

  private coroutine(depth: number): void {
    const { random } = this
    const local = this.fresh('nil')
    const y = `coroutine.yield(${this.expressions(0, 2, 1)})`
    this.line(
      `local ${local.name} = coroutine.${random.pick(['create', 'wrap'])}(function(...) T() D(${y}) ${random.pick(['', `for i = 1, 3 do T() D(${y}) end`, 'P(function() return coroutine.yield(5) end)', 'error("in", 1)', 'error({1})'])} return ${this.expressions(0, 2, depth - 1)} end)`,
    )
    for (let count = random.below(4); count >= 0; count--) {
      this.line(
        random.pick([
          `P(coroutine.resume, ${local.name}, ${this.expressions(1, 2, 1)})`,
          `P(${local.name}, ${this.expressions(1, 2, 1)})`,
          `P(coroutine.status, ${local.name})`,
          `P(function() return coroutine.resume(${local.name}, 1) end)`,
        ]),
      )
    }
  }

  // Commands

  private command(): string {
    const { random } = this
    const k = (): string => this.key()
    const s = (): string => stringLiteral(random, this.stringValue())
    // Fractions are sent with the shortest digits, as Redis 7.2.5 does; 7.0 sends 17.
    const n = (): string =>
      random.chance(50) ? String(random.below(20) - 5) : `math.floor(${this.expression('number', 1)}) % 1000`
    const words = random.pick([
      ...[
        `"GET", ${k()}`,
        `"SET", ${k()}, ${s()}`,
        `"SET", ${k()}, ${n()}`,
        `"set", ${k()}, "v", "NX"`,
        `"INCR", ${k()}`,
      ],
      ...[
        `"INCRBYFLOAT", ${k()}, "0.5"`,
        `"RPUSH", ${k()}, ${n()}, "b"`,
        `"LRANGE", ${k()}, "0", -1`,
        `"HSET", ${k()}, "f", ${s()}`,
      ],
      ...[
        `"HGETALL", ${k()}`,
        `"HGET", ${k()}, "f"`,
        `"SADD", ${k()}, "m"`,
        `"SMEMBERS", ${k()}`,
        `"ZADD", ${k()}, ${n()}, "m"`,
      ],
      ...[
        `"ZRANGE", ${k()}, "0", -1, "WITHSCORES"`,
        `"ZSCORE", ${k()}, "m"`,
        `"TYPE", ${k()}`,
        `"EXISTS", ${k()}`,
        `"PING"`,
      ],
      ...[
        `"ECHO", ${s()}`,
        `"GET"`,
        `"NOSUCH", 1`,
        `"DEL", ${k()}`,
        `"SUBSCRIBE", "c"`,
        `"MGET", "k0", "k1"`,
        `"LPOP", ${k()}`,
      ],
      ...[
        `"XADD", ${k()}, "1-1", "a", ${s()}`,
        `"XRANGE", ${k()}, "-", "+"`,
        `"SISMEMBER", ${k()}, "m"`,
        `"EXPIRE", ${k()}, 100`,
      ],
      ...[
        `"DEBUG", "PROTOCOL", "${random.pick(PROTOCOL)}"`,
        `"APPEND", ${k()}, ${n()}`,
        `${this.expressions(0, 2, 1)}`,
      ],
      ...[
        `"ECHO", ${n()}`,
        `"ECHO", ${n()}`,
        `"SETRANGE", ${k()}, 3, ${s()}`,
        `"GETRANGE", ${k()}, "0", 2`,
        `"HELLO", 3`,
      ],
    ])
    if (random.chance(4)) return `pcall(redis.setresp, ${random.pick(['2', '3', '4', '"3"', ''])})`.replace(', )', ')')
    const caller = this.isNaked && random.chance(60) ? 'redis.call' : 'redis.pcall'
    if (!this.isNaked && random.chance(30)) return `pcall(redis.call, ${words})`
    return `${caller}(${words})`
  }
}
