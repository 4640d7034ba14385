/**
 * What can be known about a chunk before it runs: constants behind names, static types of variables, and which functions
 * always return exactly one value. The generator leaves out the checks that this makes needless.
 */
import type {
  BinaryExpression,
  CallExpression,
  Chunk,
  Expression,
  FunctionBody,
  MethodExpression,
  Statement,
  StaticType,
  Variable,
} from './ast.ts'
import { builtinInfo } from './builtins.ts'
import { isMulti } from './parser.ts'
import { LuaTable } from './table.ts'
import type { LuaFunction, LuaValue } from './value.ts'

/** Resolves names against a global table that scripts cannot write. */
export class Analysis {
  private readonly globals: LuaTable | null
  private readonly mainGlobals: LuaTable | null

  /** `globals` is null when globals are looked up at run time: then nothing is constant. `mainGlobals`: CompileOptions. */
  constructor(chunk: Chunk, globals: LuaTable | null, mainGlobals: LuaTable | null) {
    this.globals = globals
    this.mainGlobals = mainGlobals
    this.inferTypes(chunk.variables)
    this.inferSingle(chunk.functions)
  }

  /** The table in which a global is looked up when the chunk is compiled, or null. */
  globalsOf(e: Extract<Expression, { kind: 'global' }>): LuaTable | null {
    return e.isMain && this.mainGlobals !== null ? this.mainGlobals : this.globals
  }

  /** The value that an expression always has because it leads through read-only tables, or undefined. */
  constant(e: Expression): LuaValue {
    switch (e.kind) {
      case 'global': {
        const globals = this.globalsOf(e)
        return globals === null || e.name === '_G' ? undefined : globals.getString(e.name)
      }
      case 'variable': {
        const { variable } = e
        if (variable.isReassigned || variable.init === null || variable.role !== 'local') return undefined
        return this.constant(variable.init)
      }
      case 'index': {
        if (e.key.kind !== 'string') return undefined
        if (e.object.kind === 'global' && e.object.name === '_G') {
          return this.constant({ ...e.object, name: e.key.value })
        }
        const object = this.constant(e.object)
        return object instanceof LuaTable && object.readonly ? object.getString(e.key.value) : undefined
      }
      case 'paren':
        return this.constant(e.inner)
      default:
        return undefined
    }
  }

  constantFunction(e: Expression): LuaFunction | null {
    const value = this.constant(e)
    return typeof value === 'function' ? value : null
  }

  /** The function that a call of this expression always runs, when it is defined in the chunk. */
  localFunction(e: Expression): FunctionBody | null {
    if (e.kind !== 'variable' || e.variable.isReassigned) return null
    const init = e.variable.init
    if (init === null || init.kind !== 'function' || e.variable.role === 'param' || e.variable.role === 'loop')
      return null
    return init.fn
  }

  /** Whether a call gives exactly one value, bare. */
  isSingleCall(e: CallExpression | MethodExpression): boolean {
    if (e.kind === 'method') return false
    const local = this.localFunction(e.callee)
    if (local !== null) return local.isSingle
    const builtin = this.constantFunction(e.callee)
    return builtin !== null && builtinInfo(builtin).isSingle
  }

  typeOf(e: Expression): StaticType {
    switch (e.kind) {
      case 'nil':
        return 'nil'
      case 'true':
      case 'false':
        return 'b'
      case 'number':
        return 'n'
      case 'string':
        return 's'
      case 'function':
        return 'f'
      case 'table':
        return 't'
      case 'variable':
        return e.variable.type
      case 'paren':
        return this.typeOf(e.inner)
      case 'unary':
        if (e.operator === 'not') return 'b'
        if (e.operator === '#') return 'n'
        return this.typeOf(e.operand) === 'n' ? 'n' : ''
      case 'call': {
        const builtin = this.constantFunction(e.callee)
        return builtin === null ? '' : builtinInfo(builtin).type
      }
      case 'binary':
        return this.typeOfBinary(e.operator, e.left, e.right)
      default:
        return ''
    }
  }

  private typeOfBinary(operator: string, left: Expression, right: Expression): StaticType {
    switch (operator) {
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
      case '^':
        return this.typeOf(left) === 'n' && this.typeOf(right) === 'n' ? 'n' : ''
      case '..':
        return isStringish(this.typeOf(left)) && isStringish(this.typeOf(right)) ? 's' : ''
      case 'and': {
        const type = this.typeOf(left)
        if (type === 'nil') return 'nil'
        return isTruthy(type) || type === this.typeOf(right) ? this.typeOf(right) : ''
      }
      case 'or': {
        const type = this.typeOf(left)
        if (isTruthy(type)) return type
        return type === 'b' && this.typeOf(right) === 'b' ? 'b' : ''
      }
      default:
        return 'b'
    }
  }

  /**
   * A reassigned variable keeps the type of its first value when all later values have it too. That is assumed first and
   * taken back until nothing changes, so that `sum = sum + i` counts as a number.
   */
  private inferTypes(variables: readonly Variable[]): void {
    const candidates: Variable[] = []
    for (const variable of variables) {
      if (!variable.isReassigned) {
        if (variable.init !== null) variable.type = this.typeOf(variable.init)
        continue
      }
      const isKnown = variable.assigned.every((value) => value !== null)
      const first = variable.type !== '' ? variable.type : variable.init === null ? '' : this.typeOf(variable.init)
      variable.type = isKnown && first !== 'nil' ? first : ''
      if (variable.type !== '') candidates.push(variable)
    }
    for (;;) {
      for (const variable of variables) {
        if (!variable.isReassigned && variable.init !== null) variable.type = this.typeOf(variable.init)
      }
      let isStable = true
      for (const variable of candidates) {
        if (variable.type === '') continue
        const values = variable.init === null ? variable.assigned : [variable.init, ...variable.assigned]
        if (values.some((value) => value === null || this.typeOf(value) !== variable.type)) {
          variable.type = ''
          isStable = false
        }
      }
      if (isStable) return
    }
  }

  private inferSingle(functions: readonly FunctionBody[]): void {
    const candidates = functions.filter((fn) => {
      fn.isSingle = fn.returns.length > 0 && fn.returns.every((r) => r.values.length === 1) && endsInReturn(fn.body)
      return fn.isSingle
    })
    for (let isStable = false; !isStable; ) {
      isStable = true
      for (const fn of candidates) {
        if (fn.isSingle && !fn.returns.every((r) => this.isSingleValue(r.values[0]!))) {
          fn.isSingle = false
          isStable = false
        }
      }
    }
  }

  private isSingleValue(e: Expression): boolean {
    if (e.kind === 'vararg') return false
    return (e.kind !== 'call' && e.kind !== 'method') || this.isSingleCall(e)
  }
}

/** Whether values of a type are always true. */
export function isTruthy(type: StaticType): boolean {
  return type === 'n' || type === 's' || type === 't' || type === 'f'
}

/** How error messages name an expression: a kind letter and the name, or '' (see `runtime.ts`). */
export function operandName(e: Expression): string {
  switch (e.kind) {
    case 'variable':
      return (e.user === e.variable.owner ? 'l' : 'u') + e.variable.name
    case 'global':
      return `g${e.name}`
    case 'index':
      return e.key.kind === 'string' ? `f${e.key.value}` : 'f?'
    case 'paren':
      return isMulti(e.inner) ? '' : operandName(e.inner)
    case 'binary':
      return isFoldedLogic(e) ? operandName(e.right) : ''
    default:
      return ''
  }
}

/** Whether a constant on the left leaves nothing but the right operand, which Lua then names in messages. */
function isFoldedLogic(e: BinaryExpression): boolean {
  const { kind } = e.left
  if (e.operator === 'and') return kind === 'true' || kind === 'number' || kind === 'string'
  return e.operator === 'or' && (kind === 'false' || kind === 'nil')
}

function isStringish(type: StaticType): boolean {
  return type === 'n' || type === 's'
}

/** Whether control cannot run past the end of a block. */
function endsInReturn(block: readonly Statement[]): boolean {
  const last = block.at(-1)
  if (last === undefined) return false
  if (last.kind === 'return') return true
  if (last.kind === 'do') return endsInReturn(last.body)
  if (last.kind === 'if') return last.otherwise !== null && [...last.blocks, last.otherwise].every(endsInReturn)
  return false
}
