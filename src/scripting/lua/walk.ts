/**
 * Runs a chunk by walking its tree, for scripts that the server has not seen before: V8 takes longer to compile the shortest
 * text than a walk through a small script takes, and most scripts with their values pasted in run once.
 *
 * Only chunks in which nothing runs twice are walked: no loops, no functions of their own. So nothing needs a step budget or
 * a call depth, no variable is captured, and the chunk is the only frame on the stack of Lua. What a walk gives and raises is
 * what the compiled chunk does, see `expression-generator.ts`; the slow paths are the same functions.
 *
 * Errors find the line in `walking`; they know by the name of `walkScript` on the stack that it is the chunk which runs.
 */
import { operandName } from './analysis.ts'
import type { Block, CallExpression, Chunk, Expression, MethodExpression, TableItem } from './ast.ts'
import { builtinInfo } from './builtins.ts'
import { first } from './call.ts'
import { isMulti } from './parser.ts'
import { walking } from './position.ts'
import { HELPERS, index, setIndex } from './runtime.ts'
import { LuaTable } from './table.ts'
import { type LuaFunction, type LuaResult, type LuaValue, NO_RESULTS } from './value.ts'

export interface WalkOptions {
  readonly chunkName: string
  readonly globals: LuaTable
  readonly stringMethods: LuaTable
}

/** Whether a chunk can be walked. It must not be long: the walk goes as deep as the tree. */
export function isWalkable({ functions, globals, hasLoops }: Chunk): boolean {
  // What resumes coroutines, and what gets at the table of globals, is compiled in another way.
  return functions.length === 1 && !hasLoops && !globals.has('coroutine') && !globals.has('_G')
}

/** Runs a chunk to its end. `values` is what `...` is. */
export function walkScript(
  chunk: Chunk,
  options: WalkOptions,
  keys: LuaValue,
  argv: LuaValue,
  values: readonly LuaValue[],
): LuaResult {
  walking.chunkName = options.chunkName
  return new Walker(options, keys, argv, values).run(chunk.main.body)
}

class Walker {
  private readonly globals: LuaTable
  private readonly stringMethods: LuaTable
  private readonly keys: LuaValue
  private readonly argv: LuaValue
  private readonly varargs: readonly LuaValue[]
  /** Values of local variables, by their number. */
  private readonly locals: LuaValue[] = []

  constructor(options: WalkOptions, keys: LuaValue, argv: LuaValue, varargs: readonly LuaValue[]) {
    this.globals = options.globals
    this.stringMethods = options.stringMethods
    this.keys = keys
    this.argv = argv
    this.varargs = varargs
  }

  run(body: Block): LuaResult {
    return this.block(body) ?? NO_RESULTS
  }

  /** What a `return` in the block gives, or null when the block has run to its end. */
  private block(block: Block): LuaResult | null {
    for (const statement of block) {
      switch (statement.kind) {
        case 'local': {
          const { vars, values } = statement
          if (vars.length === 1 && values.length === 1) this.locals[vars[0]!.index] = this.value(values[0]!)
          else {
            const list = this.list(values)
            for (let i = 0; i < vars.length; i++) this.locals[vars[i]!.index] = list[i]
          }
          break
        }
        case 'assign':
          this.assign(statement.targets, statement.values, statement.endLine)
          break
        case 'call':
          this.call(statement.call)
          break
        case 'do': {
          const result = this.block(statement.body)
          if (result !== null) return result
          break
        }
        case 'if': {
          const chosen = this.branch(statement.conditions, statement.blocks) ?? statement.otherwise
          const result = chosen === null ? null : this.block(chosen)
          if (result !== null) return result
          break
        }
        case 'return':
          return this.results(statement.values)
        default:
          throw new Error(`A walk met ${statement.kind}`)
      }
    }
    return null
  }

  private branch(conditions: readonly Expression[], blocks: readonly Block[]): Block | null {
    for (let i = 0; i < conditions.length; i++) if (isTrue(this.value(conditions[i]!))) return blocks[i]!
    return null
  }

  private results(values: readonly Expression[]): LuaResult {
    if (values.length !== 1) return this.list(values)
    const e = values[0]!
    if (e.kind === 'call' || e.kind === 'method') return this.call(e)
    if (e.kind === 'vararg') return this.varargs
    return this.value(e)
  }

  /** All right sides and the parts of all targets are evaluated before the first assignment. */
  private assign(targets: readonly Expression[], values: readonly Expression[], line: number): void {
    const objects: LuaValue[] = []
    const fields: LuaValue[] = []
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!
      objects.push(target.kind === 'index' ? this.value(target.object) : undefined)
      fields.push(target.kind === 'index' ? this.value(target.key) : undefined)
    }
    const list = this.list(values)
    walking.line = line
    for (let i = targets.length - 1; i >= 0; i--) {
      const target = targets[i]!
      if (target.kind === 'variable') this.locals[target.variable.index] = list[i]
      else if (target.kind === 'index') setIndex(objects[i], fields[i], list[i], operandName(target.object))
      else HELPERS.$gw()
    }
  }

  /** All values, of which the last may give several. */
  private list(values: readonly Expression[]): LuaValue[] {
    const list: LuaValue[] = []
    const last = values.length - 1
    for (let i = 0; i <= last; i++) {
      const e = values[i]!
      if (i < last || !isMulti(e)) list.push(this.value(e))
      else if (e.kind === 'call' || e.kind === 'method') list.push(...HELPERS.$sp(this.call(e)))
      else list.push(...this.varargs)
    }
    return list
  }

  private call(e: CallExpression | MethodExpression): LuaResult {
    if (e.kind === 'method') return this.methodCall(e)
    const callee = this.value(e.callee)
    const args = this.list(e.args)
    walking.line = e.line
    walking.called = operandName(e.callee)
    return (typeof callee === 'function' ? callee : HELPERS.$cl(callee, operandName(e.callee)))(...args)
  }

  private methodCall(e: MethodExpression): LuaResult {
    const object = this.value(e.object)
    walking.line = e.selfLine
    const method = this.method(object, e)
    const args = this.list(e.args)
    walking.line = e.line
    walking.called = `m${e.name}`
    return method(object, ...args)
  }

  private method(object: LuaValue, { name, object: e }: MethodExpression): LuaFunction {
    if (typeof object === 'string') {
      const method = this.stringMethods.getString(name)
      if (typeof method === 'function') return builtinInfo(method).asMethod ?? method
    }
    return HELPERS.$mt(object, name, operandName(e))
  }

  private value(e: Expression): LuaValue {
    switch (e.kind) {
      case 'string':
      case 'number':
        return e.value
      case 'variable':
        return this.locals[e.variable.index]
      case 'index': {
        const object = this.value(e.object)
        const key = this.value(e.key)
        if (object instanceof LuaTable) {
          const value = object.get(key)
          if (value !== undefined || object.meta === null) return value
        }
        walking.line = e.line
        return index(object, key, operandName(e.object))
      }
      case 'call':
      case 'method':
        return first(this.call(e))
      case 'global':
        return this.global(e.name, e.line)
      case 'nil':
        return undefined
      case 'true':
        return true
      case 'false':
        return false
      case 'paren':
        return this.value(e.inner)
      case 'table':
        return this.table(e.items)
      case 'binary':
        return this.binary(e)
      case 'unary':
        return this.unary(e)
      case 'vararg':
        return this.varargs[0]
      case 'function':
        throw new Error('A walk met a function')
    }
  }

  private global(name: string, line: number): LuaValue {
    if (name === 'KEYS') return this.keys
    if (name === 'ARGV') return this.argv
    const value = this.globals.getString(name)
    if (value !== undefined) return value
    walking.line = line
    return HELPERS.$gx(name)
  }

  private unary(e: Extract<Expression, { kind: 'unary' }>): LuaValue {
    const value = this.value(e.operand)
    if (e.operator === 'not') return !isTrue(value)
    walking.line = e.line
    if (e.operator === '#') return HELPERS.$len(value, operandName(e.operand))
    return typeof value === 'number' ? -value : HELPERS.$unm(value, operandName(e.operand))
  }

  private binary(e: Extract<Expression, { kind: 'binary' }>): LuaValue {
    const a = this.value(e.left)
    if (e.operator === 'and') return isTrue(a) ? this.value(e.right) : a
    if (e.operator === 'or') return isTrue(a) ? a : this.value(e.right)
    const b = this.value(e.right)
    walking.line = e.line
    switch (e.operator) {
      case '==':
        return a === b || HELPERS.$eq(a, b)
      case '~=':
        return a !== b && !HELPERS.$eq(a, b)
      case '<':
        return HELPERS.$lt(a, b)
      case '<=':
        return HELPERS.$le(a, b)
      case '>':
        return HELPERS.$lt(b, a)
      case '>=':
        return HELPERS.$le(b, a)
      case '..':
        if (typeof a === 'string' && typeof b === 'string') return HELPERS.$jo(a + b)
        return HELPERS.$cat(a, b, operandName(e.left), operandName(e.right))
      default:
        return this.arithmetic(e, a, b)
    }
  }

  private arithmetic(e: Extract<Expression, { kind: 'binary' }>, a: LuaValue, b: LuaValue): LuaValue {
    const [left, right] = [operandName(e.left), operandName(e.right)]
    switch (e.operator) {
      case '+':
        return HELPERS.$add(a, b, left, right)
      case '-':
        return HELPERS.$sub(a, b, left, right)
      case '*':
        return HELPERS.$mul(a, b, left, right)
      case '/':
        return HELPERS.$div(a, b, left, right)
      case '%':
        return HELPERS.$mod(a, b, left, right)
      default:
        return HELPERS.$pow(a, b, left, right)
    }
  }

  private table(items: readonly TableItem[]): LuaTable {
    let positional = 0
    for (const item of items) if (item.key === null) positional++
    if (positional === items.length) return LuaTable.fromList(this.list(items.map((item) => item.value)))
    const table = new LuaTable()
    for (let i = 0; i < items.length; i++) {
      const { key, value: e, line } = items[i]!
      if (key === null) {
        if (i === items.length - 1 && isMulti(e)) HELPERS.$ta(table, this.list([e]))
        else HELPERS.$tp(table, this.value(e))
        continue
      }
      const name = this.value(key)
      const value = this.value(e)
      walking.line = line
      if (positional > 0) HELPERS.$tk(table, name, value)
      else HELPERS.$ti(table, name, value)
    }
    return positional > 0 ? HELPERS.$td(table) : table
  }
}

function isTrue(value: LuaValue): boolean {
  return value !== undefined && value !== false
}
