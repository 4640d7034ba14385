/**
 * Turns a resolved Lua syntax tree into the text of one flat JavaScript function.
 *
 * The function's parameters are the runtime helpers and constants that the chunk uses, then KEYS and ARGV; calling it
 * runs the chunk. What the text looks like and why:
 * - JavaScript line = Lua line + a fixed offset, so positions cost nothing until an error asks for one. Everything is
 *   therefore generated in textual order, and `newline` catches up with the line of the next operation.
 * - Lua names get a unique number (`name_12`); everything else starts with `$`, which no Lua name contains. Script data
 *   only ever appears as escaped string literals, never as JavaScript names or property accesses.
 * - Arithmetic, comparison and concatenation are inline for the usual types; other cases call the runtime.
 * - `$b` is the step budget: loops and functions that may recurse count it down and call `$k` when it is used up.
 *   `$d` is the call depth in stack slots: saved on entry, restored on return.
 * - `$1`, `$2` … are temporaries of the function; they are reserved as long as a half-built expression needs them.
 * - `var` for all variables that need not be fresh per loop round: it needs no checks for use before definition.
 *
 * In coroutine mode (scripts that can yield) functions are generators and every call is a `yield*`.
 */

import { Analysis, isTruthy } from './analysis.ts'
import type {
  BinaryExpression,
  Block,
  CallExpression,
  Chunk,
  Expression,
  FunctionBody,
  MethodExpression,
  Statement,
  TableItem,
  Variable,
} from './ast.ts'
import { type BuiltinInfo, builtinInfo } from './builtins.ts'
import { isMulti } from './parser.ts'
import type { HelperName } from './runtime.ts'
import type { LuaTable } from './table.ts'
import type { LuaFunction } from './value.ts'

export interface GeneratorOptions {
  readonly chunkName: string
  /** Global names to bind at compile time; null to look them up at run time. */
  readonly globals: LuaTable | null
  /** The methods of strings, for calls such as `s:sub(1)`. */
  readonly stringMethods: LuaTable
  readonly isCoroutineMode: boolean
}

export interface GeneratedCode {
  readonly body: string
  /** Runtime helpers used, in parameter order. */
  readonly helpers: readonly HelperName[]
  /** Values of the parameters `$c0`, `$c1` … */
  readonly constants: readonly LuaFunction[]
}

/** Steps before the first `tick`; later rounds take what `tick` returns. */
const FIRST_BUDGET = 10_000
/**
 * Call depth allowed, in 8-byte stack slots: what a thread with V8's default stack of 984 KB has, less 360 KB that
 * library functions and commands need at the deepest point.
 */
const DEPTH_SLOTS_MAX = 78_000
/** Slots of an interpreter frame beside registers and arguments. */
const FRAME_SLOTS = 14

const ARITHMETIC: Readonly<Record<string, HelperName>> = {
  '+': '$add',
  '-': '$sub',
  '*': '$mul',
  '/': '$div',
  '%': '$mod',
  '^': '$pow',
}

/** What a function under generation needs to remember. */
interface FunctionState {
  readonly fn: FunctionBody
  readonly parent: FunctionState | null
  tempCount: number
  tempsInUse: number
  /** It calls something that may be a Lua function. */
  readonly callsLua: boolean
  /** The variable through which a `return f(…)` to itself becomes a jump, or null. */
  readonly self: Variable | null
  jumpsToSelf: boolean
}

interface Operand {
  readonly code: string
  /** Whether the code is a name or a literal, which may be repeated. */
  readonly isSimple: boolean
  readonly isNumber: boolean
}

export function generate(chunk: Chunk, options: GeneratorOptions): GeneratedCode {
  return new Generator(chunk, options).run()
}

class Generator {
  private readonly chunk: Chunk
  private readonly options: GeneratorOptions
  private readonly analysis: Analysis
  private readonly isCoroutineMode: boolean
  private readonly helpers: HelperName[] = []
  private readonly helperSet = new Set<HelperName>()
  private readonly constants: LuaFunction[] = []
  private readonly constantNames = new Map<LuaFunction, string>()
  private state: FunctionState
  private line = 1
  private loopCount = 0
  private usesBudget = false
  /** Whether some call takes a number of arguments that only the run decides. */
  private readonly hasSpreads: boolean

  constructor(chunk: Chunk, options: GeneratorOptions) {
    this.chunk = chunk
    this.options = options
    this.isCoroutineMode = options.isCoroutineMode
    this.analysis = new Analysis(chunk, options.globals)
    this.state = this.newState(chunk.main, null, null)
    this.hasSpreads = chunk.functions.some((fn) => fn.calls.some((call) => call !== null && this.isSpreadCall(call)))
  }

  run(): GeneratedCode {
    const body = this.block(this.chunk.main.body)
    const { main } = this.chunk
    const fallThrough = main.body.at(-1)?.kind === 'return' ? '' : `return ${this.use('$E')};`
    const prologue = this.prologue() + (main.usesVararg ? 'var $v=[];' : '')
    const counters = this.usesBudget ? `var $b=${FIRST_BUDGET},$d=0;` : ''
    const code = `"use strict";${counters}${prologue}${body}${fallThrough}`
    const text = this.isCoroutineMode ? `return ${this.use('$mk')}(function*(){${code}})();` : code
    return { body: text, helpers: this.helpers, constants: this.constants }
  }

  // Names and lines

  private use(helper: HelperName): HelperName {
    if (!this.helperSet.has(helper)) {
      this.helperSet.add(helper)
      this.helpers.push(helper)
    }
    return helper
  }

  private constantName(fn: LuaFunction): string {
    let name = this.constantNames.get(fn)
    if (name === undefined) {
      name = `$c${this.constants.length}`
      this.constants.push(fn)
      this.constantNames.set(fn, name)
    }
    return name
  }

  private newline(line: number): string {
    if (line <= this.line) return ''
    const breaks = '\n'.repeat(line - this.line)
    this.line = line
    return breaks
  }

  private temp(): string {
    const { state } = this
    const index = ++state.tempsInUse
    if (index > state.tempCount) state.tempCount = index
    return `$${index}`
  }

  private release(count = 1): void {
    this.state.tempsInUse -= count
  }

  /** Runs code between two marks of the temporaries: all taken in between are free afterwards. */
  private releaseTo(mark: number): void {
    this.state.tempsInUse = mark
  }

  // Functions

  private functionText(fn: FunctionBody, name: string, self: Variable | null): string {
    const outer = this.state
    const canJump = self !== null && !fn.hasCapturedLocals && !fn.isVararg && !this.isCoroutineMode
    this.state = this.newState(fn, outer, canJump ? self : null)
    const params = fn.params.map((p) => p.js)
    if (fn.usesVararg || fn.usesArg) params.push('...$v')
    const star = this.isCoroutineMode ? '*' : ''
    const head = `function${star} ${this.isCoroutineMode ? '' : name}(${params.join(',')}){`
    let body = this.block(fn.body)
    const endsInReturn = fn.body.at(-1)?.kind === 'return'
    const tail = endsInReturn ? '' : `${this.leave()}return ${this.use('$E')};`
    const jump = this.state.jumpsToSelf
    if (fn.usesArg) body = `var ${fn.arg!.js}=${fn.usesVararg ? 'undefined' : `${this.use('$arg')}($v)`};${body}`
    const text = jump
      ? `${head}${this.prologue()}$t:for(;;){${this.budgetStep()}${body}${tail}}}`
      : `${head}${this.prologue()}${body}${tail}}`
    this.state = outer
    return this.isCoroutineMode ? `${this.use('$mk')}(${text})` : text
  }

  /** Whether a call may hand thousands of values (`unpack`) to a Lua function. */
  private isSpreadCall(call: CallExpression | MethodExpression): boolean {
    const last = call.args.at(-1)
    if (last === undefined || !isMulti(last)) return false
    if (call.kind === 'method') return true
    const builtin = this.analysis.constantFunction(call.callee)
    return builtin === null || builtinInfo(builtin).callsLua
  }

  /** Whether a function calls Lua code must be known at its first return, so it is found before its body is generated. */
  private newState(fn: FunctionBody, parent: FunctionState | null, self: Variable | null): FunctionState {
    const callsLua = fn.calls.some((call) => {
      if (call === null || call.kind === 'method') return true
      const builtin = this.analysis.constantFunction(call.callee)
      return builtin === null || builtinInfo(builtin).callsLua
    })
    return { fn, parent, tempCount: 0, tempsInUse: 0, callsLua, self, jumpsToSelf: false }
  }

  private prologue(): string {
    const { state } = this
    let text = ''
    if (state.tempCount > 0) {
      text += 'var $1'
      for (let i = 2; i <= state.tempCount; i++) text += `,$${i}`
      text += ';'
    }
    if (!state.callsLua) return text
    if (this.isCoroutineMode) return text + this.budgetStep()
    this.usesBudget = true
    const weight = FRAME_SLOTS + state.fn.params.length + state.fn.localCount + state.tempCount * 2
    // Arguments lie on the stack, up to three times on their way through `pcall`.
    const total = this.hasSpreads && state.parent !== null ? `${weight}+arguments.length*3` : `${weight}`
    return `${text}${this.budgetStep()}const $s=$d,$m=$s+${total};if(($d=$m)>${DEPTH_SLOTS_MAX})${this.use('$so')}();var $0;`
  }

  /** Restores the call depth before a return whose value needs no more calls. */
  private leave(): string {
    return this.mayCount() ? '$d=$s;' : ''
  }

  private budgetStep(): string {
    this.usesBudget = true
    return `if(--$b<0)$b=${this.use('$k')}();`
  }

  private mayCount(): boolean {
    return this.state.callsLua && !this.isCoroutineMode && this.state.parent !== null
  }

  // Statements

  private block(block: Block): string {
    let text = ''
    for (const statement of block) {
      text += this.newline(statement.line)
      const mark = this.state.tempsInUse
      text += this.statement(statement)
      this.releaseTo(mark)
    }
    return text
  }

  private statement(s: Statement): string {
    switch (s.kind) {
      case 'local':
        return this.localStatement(s.vars, s.values)
      case 'assign':
        return this.assignStatement(s.targets, s.values, s.endLine)
      case 'call':
        return `${this.call(s.call)};`
      case 'do':
        return `{${this.block(s.body)}}`
      case 'while': {
        const condition = this.condition(s.condition)
        return `while(${condition}){${this.budgetStep()}${this.block(s.body)}}`
      }
      case 'repeat': {
        const body = this.block(s.body)
        const last = s.body.at(-1)?.kind
        const exit = last === 'return' || last === 'break' ? '' : `if(${this.condition(s.condition)})break;`
        return `for(;;){${this.budgetStep()}${body}${exit}}`
      }
      case 'if': {
        let text = ''
        for (let i = 0; i < s.conditions.length; i++) {
          text += `${i === 0 ? '' : 'else '}if(${this.condition(s.conditions[i]!)}){${this.block(s.blocks[i]!)}}`
        }
        return s.otherwise === null ? text : `${text}else{${this.block(s.otherwise)}}`
      }
      case 'numericFor':
        return this.numericFor(s)
      case 'genericFor':
        return this.genericFor(s)
      case 'localFunction': {
        const { variable } = s
        const self = variable.isReassigned ? null : variable
        // A function expression's own name is the cheapest way to refer to itself.
        const name = self === null ? '' : variable.js
        return `${this.declaration(variable)}=${this.functionText(s.fn.fn, name, self)};`
      }
      case 'return':
        return this.returnStatement(s.values)
      case 'break':
        return 'break;'
    }
  }

  private declaration(variable: Variable): string {
    return `${variable.isInLoop && variable.isCaptured ? 'let' : 'var'} ${variable.js}`
  }

  private localStatement(vars: readonly Variable[], values: readonly Expression[]): string {
    let text = ''
    const last = values.at(-1)
    const isSpread = last !== undefined && vars.length > values.length && isMulti(last)
    const direct = isSpread ? values.length - 1 : vars.length
    for (let i = 0; i < direct; i++) {
      const variable = vars[i]!
      const value = values[i]
      if (value === undefined) text += `${this.declaration(variable)}=undefined;`
      else if (this.isFolded(variable, value)) continue
      else text += `${this.declaration(variable)}=${this.named(value, variable)};`
    }
    if (isSpread) {
      const source = this.spreadSource(last)
      text += source.setup
      for (let i = direct; i < vars.length; i++) text += `${this.declaration(vars[i]!)}=${source.item(i - direct)};`
    }
    for (let i = vars.length; i < values.length; i++) text += `${this.expression(values[i]!)};`
    return text
  }

  /** A variable that only stands for a library function needs no code. */
  private isFolded(variable: Variable, value: Expression): boolean {
    return !variable.isReassigned && this.analysis.constantFunction(value) !== null
  }

  private named(value: Expression, variable: Variable): string {
    if (value.kind !== 'function') return this.expression(value)
    return this.functionText(
      value.fn,
      variable.isReassigned ? '' : variable.js,
      variable.isReassigned ? null : variable,
    )
  }

  /** Code that evaluates a call or `...` once, and gives its values one by one. */
  private spreadSource(e: Expression): { setup: string; item: (i: number) => string } {
    if (e.kind === 'vararg') return { setup: '', item: (i) => `$v[${i}]` }
    const code = this.results(e)
    const t = this.temp()
    return {
      setup: `${t}=${code};`,
      item: (i) => (i === 0 ? `${t} instanceof Array?${t}[0]:${t}` : `${t} instanceof Array?${t}[${i}]:undefined`),
    }
  }

  private assignStatement(targets: readonly Expression[], values: readonly Expression[], line: number): string {
    if (targets.length === 1 && values.length === 1) return this.assignOne(targets[0]!, values[0]!, line)
    // All right sides and the parts of all targets are evaluated before the first assignment.
    let text = ''
    const stores: ((value: string) => string)[] = []
    for (const target of targets) {
      const prepared = this.prepareTarget(target)
      text += prepared.setup
      stores.push(prepared.store)
    }
    const sources: string[] = []
    const last = values.at(-1)!
    const isSpread = targets.length > values.length && isMulti(last)
    const direct = isSpread ? values.length - 1 : values.length
    for (let i = 0; i < direct; i++) {
      const code = this.expression(values[i]!)
      if (i >= targets.length) {
        text += `${code};`
        continue
      }
      const t = this.temp()
      text += `${t}=${code};`
      sources.push(t)
    }
    if (isSpread) {
      const source = this.spreadSource(last)
      text += source.setup
      for (let i = direct; i < targets.length; i++) sources.push(source.item(i - direct))
    }
    text += this.newline(line)
    for (let i = targets.length - 1; i >= 0; i--) text += stores[i]!(sources[i] ?? 'undefined')
    return text
  }

  private prepareTarget(target: Expression): { setup: string; store: (value: string) => string } {
    if (target.kind === 'variable') return { setup: '', store: (value) => `${target.variable.js}=${value};` }
    if (target.kind !== 'index') return { setup: '', store: () => this.globalWrite() }
    const objectCode = this.expression(target.object)
    const object = this.temp()
    const description = this.describe(target.object)
    if (target.key.kind === 'string') {
      const key = quote(target.key.value)
      return {
        setup: `${object}=${objectCode};`,
        store: (value) => `${this.use('$ss')}(${object},${key},${value},${description});`,
      }
    }
    const keyCode = this.expression(target.key)
    const key = this.temp()
    return {
      setup: `${object}=${objectCode};${key}=${keyCode};`,
      store: (value) => `${this.use('$sa')}(${object},${key},${value},${description});`,
    }
  }

  private globalWrite(): string {
    return `${this.use('$gw')}();`
  }

  private assignOne(target: Expression, value: Expression, line: number): string {
    if (target.kind === 'variable') {
      return `${target.variable.js}=${this.named(value, target.variable)};`
    }
    if (target.kind !== 'index') {
      const code = this.expression(value)
      return `${code};${this.newline(line)}${this.globalWrite()}`
    }
    // Lua emits the access when it has read the next token: the line of the key stands for the whole target.
    const before = this.newline(target.line)
    const object = this.expression(target.object)
    if (target.key.kind === 'string') {
      const text = `${before}${this.use('$ss')}(${object},${quote(target.key.value)},`
      return `${text}${this.expression(value)},${this.describe(target.object)});`
    }
    const helper = this.use(this.analysis.typeOf(target.key) === 'n' ? '$sn' : '$sa')
    const key = this.expression(target.key)
    return `${before}${helper}(${object},${key},${this.expression(value)},${this.describe(target.object)});`
  }

  private returnStatement(values: readonly Expression[]): string {
    if (values.length === 0) return `${this.leave()}return ${this.use('$E')};`
    if (values.length === 1) {
      const value = values[0]!
      if (value.kind === 'call' && this.isSelfCall(value)) return this.selfJump(value)
      const code = isMulti(value) ? this.results(value) : this.expression(value)
      if (!this.mayCount()) return `return (${code});`
      if (isPlain(code)) return `$d=$s;return ${code};`
      return `$0=${code};$d=$s;return $0;`
    }
    const list = this.list(values)
    if (!this.mayCount()) return `return [${list}];`
    return `$0=[${list}];$d=$s;return $0;`
  }

  private isSelfCall(e: CallExpression): boolean {
    const { self } = this.state
    if (self === null || e.callee.kind !== 'variable' || e.callee.variable !== self) return false
    return e.args.length === 0 || !isMulti(e.args.at(-1)!) || e.args.length > this.state.fn.params.length
  }

  /** `return f(…)` within f: new arguments, then a jump to the top. Lua promises that this needs no stack. */
  private selfJump(e: CallExpression): string {
    const { params } = this.state.fn
    this.state.jumpsToSelf = true
    let text = ''
    const temps = e.args.map((arg) => {
      const code = this.expression(arg)
      const t = this.temp()
      text += `${t}=${code};`
      return t
    })
    params.forEach((param, i) => {
      text += `${param.js}=${temps[i] ?? 'undefined'};`
    })
    return `${text}continue $t;`
  }

  private numericFor(s: Extract<Statement, { kind: 'numericFor' }>): string {
    const id = ++this.loopCount
    const { variable } = s
    const start = this.forNumber(s.start, 'initial')
    const limitCode = this.forNumber(s.limit, 'limit')
    const stepCode = s.step === null ? '1' : this.forNumber(s.step, 'step')
    const isFresh = variable.isReassigned || variable.isCaptured
    const counter = isFresh ? `$f${id}` : variable.js
    const limit = isNumeric(limitCode) ? limitCode : `$l${id}`
    const step = isNumeric(stepCode) ? stepCode : `$p${id}`
    let head = `var ${counter}=${start}`
    if (limit !== limitCode) head += `,${limit}=${limitCode}`
    if (step !== stepCode) head += `,${step}=${stepCode}`
    let condition = `${counter}<=${limit}`
    if (s.step !== null) {
      const value = constantNumber(s.step)
      if (value === null) condition = `${step}>0?${counter}<=${limit}:${limit}<=${counter}`
      else if (value <= 0) condition = `${limit}<=${counter}`
    }
    const fresh = isFresh ? `${this.declaration(variable)}=${counter};` : ''
    const body = `${this.budgetStep()}${fresh}${this.block(s.body)}`
    return `for(${head};${condition};${counter}+=${step}){${body}}`
  }

  private forNumber(e: Expression, what: 'initial' | 'limit' | 'step'): string {
    const code = this.expression(e)
    if (this.analysis.typeOf(e) === 'n') return code
    const t = this.temp()
    this.release()
    return `(typeof(${t}=${code})==='number'?${t}:${this.use('$fn')}(${t},"${what}"))`
  }

  private genericFor(s: Extract<Statement, { kind: 'genericFor' }>): string {
    const first = s.values[0]!
    if (s.values.length === 1 && first.kind === 'call' && first.args.length === 1) {
      const builtin = this.analysis.constantFunction(first.callee)
      const form = builtin === null ? null : builtinInfo(builtin).inline
      if (form === 'pairs' || form === 'ipairs') {
        const table = this.newline(first.line) + this.expression(first.args[0]!)
        return form === 'pairs' ? this.pairsLoop(s, table, '$pc') : this.ipairsLoop(s, table)
      }
    }
    if (s.values.length === 2 || (s.values.length === 3 && s.values[2]!.kind === 'nil')) {
      const builtin = this.analysis.constantFunction(first)
      if (builtin !== null && builtinInfo(builtin).inline === 'next' && !isMulti(s.values[1]!)) {
        return this.pairsLoop(s, this.expression(s.values[1]!), '$nc')
      }
    }
    return this.iteratorLoop(s)
  }

  private pairsLoop(s: Extract<Statement, { kind: 'genericFor' }>, table: string, helper: '$pc' | '$nc'): string {
    const cursor = `$f${++this.loopCount}`
    let fresh = ''
    s.vars.forEach((variable, i) => {
      fresh += `${this.declaration(variable)}=${i === 0 ? `${cursor}.key` : i === 1 ? `${cursor}.value` : 'undefined'};`
    })
    const body = `${this.budgetStep()}${fresh}${this.block(s.body)}`
    return `for(var ${cursor}=${this.use(helper)}(${table});${cursor}.next();){${body}}`
  }

  private ipairsLoop(s: Extract<Statement, { kind: 'genericFor' }>, table: string): string {
    const id = ++this.loopCount
    const value = `$w${id}`
    let fresh = ''
    s.vars.forEach((variable, i) => {
      fresh += `${this.declaration(variable)}=${i === 0 ? `$l${id}` : i === 1 ? value : 'undefined'};`
    })
    const head = `var $f${id}=${this.use('$ip')}(${table}),$l${id}=1,${value}`
    const body = `${this.budgetStep()}${fresh}${this.block(s.body)}`
    return `for(${head};(${value}=$f${id}.getNumber($l${id}))!==undefined;$l${id}++){${body}}`
  }

  private iteratorLoop(s: Extract<Statement, { kind: 'genericFor' }>): string {
    const id = ++this.loopCount
    const [f, state, control, result] = [`$f${id}`, `$l${id}`, `$p${id}`, `$w${id}`]
    let setup: string
    const last = s.values.at(-1)!
    if (s.values.length < 3 && isMulti(last)) {
      const values = this.list(s.values)
      setup = `var ${result}=[${values}],${f}=${result}[0],${state}=${result}[1],${control}=${result}[2];`
    } else {
      const codes = s.values.map((value) => this.expression(value))
      setup = `var ${result},${f}=${codes[0]},${state}=${codes[1] ?? 'undefined'},${control}=${codes[2] ?? 'undefined'};`
      for (const extra of codes.slice(3)) setup += `${extra};`
    }
    const callee = `typeof ${f}==='function'?${f}:${this.use('$cl')}(${f},"")`
    const call = this.isCoroutineMode
      ? `yield*${this.use('$gc')}(${f},"",[${state},${control}])`
      : `(${callee})(${state},${control})`
    let fresh = ''
    s.vars.forEach((variable, i) => {
      const value = i === 0 ? control : `${result} instanceof Array?${result}[${i}]:undefined`
      fresh += `${this.declaration(variable)}=${value};`
    })
    const step = `${result}=${call};${control}=${result} instanceof Array?${result}[0]:${result};`
    const body = `${this.budgetStep()}${step}if(${control}===undefined)break;${fresh}${this.block(s.body)}`
    return `${setup}for(;;){${body}}`
  }

  // Lists and calls

  /** Comma-separated values; the last one is spread when it may give several. */
  private list(values: readonly Expression[]): string {
    let text = ''
    for (let i = 0; i < values.length; i++) {
      if (i > 0) text += ','
      const value = values[i]!
      if (i === values.length - 1 && isMulti(value)) text += this.spread(value)
      else text += this.expression(value)
    }
    return text
  }

  private spread(e: Expression): string {
    if (e.kind === 'vararg') return '...$v'
    const code = this.results(e)
    if ((e.kind === 'call' || e.kind === 'method') && !this.isCoroutineMode && this.analysis.isSingleCall(e))
      return code
    return `...${this.use('$sp')}(${code})`
  }

  /** All results of a call or `...`, as a function returns them. */
  private results(e: Expression): string {
    if (e.kind === 'vararg') return `${this.use('$rv')}($v)`
    if (e.kind === 'call' || e.kind === 'method') return this.call(e)
    return this.expression(e)
  }

  private call(e: CallExpression | MethodExpression): string {
    if (e.kind === 'method') return this.methodCall(e)
    const builtin = this.analysis.constantFunction(e.callee)
    if (builtin !== null) {
      const info = builtinInfo(builtin)
      if (!(this.isCoroutineMode && info.inline === 'yield')) return this.builtinCall(e, builtin, info)
    }
    if (this.isCoroutineMode) {
      const callee = this.expression(e.callee)
      const head = `(yield*${this.use('$gc')}(${callee},${this.describe(e.callee)},[`
      return `${head}${this.newline(e.line)}${this.list(e.args)}]))`
    }
    if (this.analysis.localFunction(e.callee) !== null && e.callee.kind === 'variable') {
      return `${this.newline(e.line)}${e.callee.variable.js}(${this.list(e.args)})`
    }
    const description = this.describe(e.callee)
    const callee = this.expression(e.callee)
    if (isPlain(callee)) {
      const choice = `(typeof ${callee}==='function'?${callee}:${this.use('$cl')}(${callee},${description}))`
      return `${choice}${this.newline(e.line)}(${this.list(e.args)})`
    }
    const t = this.temp()
    this.release()
    const choice = `(typeof(${t}=${callee})==='function'?${t}:${this.use('$cl')}(${t},${description}))`
    return `${choice}${this.newline(e.line)}(${this.list(e.args)})`
  }

  private builtinCall(e: CallExpression, builtin: LuaFunction, info: BuiltinInfo): string {
    const line = this.newline(e.line)
    const first = e.args[0]
    switch (info.inline) {
      case 'floor':
        if (e.args.length === 1 && !isMulti(first!)) {
          const operand = this.operand(first!)
          if (operand.isNumber) return `${line}Math.floor(${operand.code})`
          const t = this.temp()
          this.release()
          const name = this.constantName(builtin)
          return `${line}(typeof(${t}=${operand.code})==='number'?Math.floor(${t}):${name}(${t}))`
        }
        break
      case 'error':
        if (e.args.length === 1 && (!isMulti(first!) || this.isFirstOnly(first!))) {
          const position = quote(`${this.options.chunkName}:${e.line}: `)
          return `${line}${this.use('$er')}(${this.expression(first!)},${position},${e.line})`
        }
        break
      case 'select':
        if (e.args.length === 2 && e.args[1]!.kind === 'vararg' && first!.kind === 'string' && first!.value === '#') {
          return `${line}$v.length`
        }
        break
      case 'protected': {
        if (this.isCoroutineMode) break
        const t = this.temp()
        const code = `${this.constantName(builtin)}(${this.list(e.args)})`
        this.release()
        return `${line}(${t}=${code},$d=$m,${t})`
      }
      default:
    }
    if (info.specialize !== null && first?.kind === 'string') {
      const special = info.specialize(first.value)
      if (special !== null) return `${line}${this.constantName(special)}(${this.list(e.args.slice(1))})`
    }
    return `${line}${this.constantName(builtin)}(${this.list(e.args)})`
  }

  /** Whether a call in last place gives one value anyway. */
  private isFirstOnly(e: Expression): boolean {
    return (e.kind === 'call' || e.kind === 'method') && this.analysis.isSingleCall(e)
  }

  private methodCall(e: MethodExpression): string {
    const object = this.operand(e.object)
    const t = object.isSimple ? object.code : this.temp()
    const evaluated = object.isSimple ? t : `(${t}=${object.code})`
    const name = quote(e.name)
    const description = this.describe(e.object)
    const method = this.options.stringMethods.getString(e.name)
    let callee = `${this.use('$mt')}(${object.isSimple ? t : evaluated},${name},${description})`
    if (typeof method === 'function') {
      const asMethod = builtinInfo(method).asMethod ?? method
      const generic = `${this.use('$mt')}(${t},${name},${description})`
      callee = `(typeof ${evaluated}==='string'?${this.constantName(asMethod)}:${generic})`
    }
    const rest = e.args.length > 0
    let text: string
    if (this.isCoroutineMode) {
      const head = `(yield*${this.use('$gc')}(${callee},"",[`
      text = `${head}${this.newline(e.line)}${t}${rest ? `,${this.list(e.args)}` : ''}]))`
    } else text = `${callee}${this.newline(e.line)}(${t}${rest ? `,${this.list(e.args)}` : ''})`
    if (!object.isSimple) this.release()
    return text
  }

  // Expressions

  /** An expression with exactly one value. */
  private expression(e: Expression): string {
    switch (e.kind) {
      case 'nil':
        return 'undefined'
      case 'true':
        return 'true'
      case 'false':
        return 'false'
      case 'number':
        return numberLiteral(e.value)
      case 'string':
        return quote(e.value)
      case 'vararg':
        return '$v[0]'
      case 'function':
        return `(${this.functionText(e.fn, '', null)})`
      case 'variable':
        return this.variableText(e)
      case 'global':
        return this.globalText(e)
      case 'index':
        return this.indexText(e)
      case 'call':
      case 'method': {
        const code = this.call(e)
        if (this.analysis.isSingleCall(e) && !this.isCoroutineMode) return code
        const t = this.temp()
        this.release()
        return `((${t}=${code})instanceof Array?${t}[0]:${t})`
      }
      case 'paren':
        return this.expression(e.inner)
      case 'unary':
        return this.unary(e.operator, e.operand, e.line)
      case 'table':
        return this.tableText(e.items)
      case 'binary':
        return this.binary(e.operator, e.left, e.right, e.line)
    }
  }

  private variableText(e: Extract<Expression, { kind: 'variable' }>): string {
    const constant = this.analysis.constantFunction(e)
    return constant === null ? e.variable.js : this.constantName(constant)
  }

  private globalText(e: Extract<Expression, { kind: 'global' }>): string {
    const { globals } = this.options
    if (globals === null) return `${this.newline(e.line)}${this.use('$gg')}(${quote(e.name)})`
    if (e.name === 'KEYS') return '$KEYS'
    if (e.name === 'ARGV') return '$ARGV'
    const value = e.name === '_G' ? globals : globals.getString(e.name)
    if (value === undefined) return `${this.newline(e.line)}${this.use('$gx')}(${quote(e.name)})`
    if (typeof value === 'function') return this.constantName(value)
    return `${this.use('$gg')}(${quote(e.name)})`
  }

  private indexText(e: Extract<Expression, { kind: 'index' }>): string {
    const constant = this.analysis.constantFunction(e)
    if (constant !== null) return this.constantName(constant)
    if (
      e.object.kind === 'global' &&
      e.object.name === '_G' &&
      e.key.kind === 'string' &&
      this.options.globals !== null
    ) {
      return this.globalText({ kind: 'global', name: e.key.value, line: e.line })
    }
    const object = this.expression(e.object)
    const description = this.describe(e.object)
    const line = this.newline(e.line)
    if (e.key.kind === 'string') return `${line}${this.use('$gs')}(${object},${quote(e.key.value)},${description})`
    const helper = this.use(this.analysis.typeOf(e.key) === 'n' ? '$gn' : '$ga')
    return `${line}${helper}(${object},${this.expression(e.key)},${description})`
  }

  private tableText(items: readonly TableItem[]): string {
    if (items.length === 0) return `new ${this.use('$T')}()`
    if (items.every((item) => item.key === null)) return this.listTable(items.map((item) => item.value))
    const isMixed = items.some((item) => item.key === null)
    let text = `new ${this.use('$T')}()`
    items.forEach((item, i) => {
      if (item.key === null) {
        if (i === items.length - 1 && isMulti(item.value))
          text = `${this.use('$ta')}(${text},[${this.spread(item.value)}])`
        else text = `${this.use('$tp')}(${text},${this.expression(item.value)})`
      } else if (item.key.kind === 'string') text += `.init(${quote(item.key.value)},${this.expression(item.value)})`
      else {
        const key = this.expression(item.key)
        text = `${this.use(isMixed ? '$tk' : '$ti')}(${text},${key},${this.expression(item.value)})`
      }
    })
    return isMixed ? `${this.use('$td')}(${text})` : text
  }

  private listTable(values: readonly Expression[]): string {
    const last = values.at(-1)!
    if (values.length === 1 && last.kind === 'vararg') return `${this.use('$T')}.fromList($v.slice())`
    if (isMulti(last) || !isTruthy(this.analysis.typeOf(last)))
      return `${this.use('$T')}.fromList([${this.list(values)}])`
    return `new ${this.use('$T')}([${this.list(values)}])`
  }

  private operand(e: Expression): Operand {
    const code = this.expression(e)
    return { code, isSimple: isPlain(code) || isNumeric(code), isNumber: this.analysis.typeOf(e) === 'n' }
  }

  private unary(operator: string, operand: Expression, line: number): string {
    if (operator === 'not') return `!(${this.condition(operand)})`
    if (operator === '#') {
      const code = this.expression(operand)
      if (this.analysis.typeOf(operand) === 't') return `${code}.arr.length`
      return `${this.newline(line)}${this.use('$len')}(${code},${this.describe(operand)})`
    }
    const value = this.operand(operand)
    if (value.isNumber) return `(-${value.code})`
    const t = this.temp()
    this.release()
    const slow = `${this.use('$unm')}(${t},${this.describe(operand)})`
    return `(typeof(${t}=${value.code})==='number'?-${t}:${slow})`
  }

  private binary(operator: string, left: Expression, right: Expression, line: number): string {
    switch (operator) {
      case 'and':
      case 'or':
        return this.logical(operator, left, right)
      case '..':
        return this.concat(left, right, line)
      case '==':
      case '~=':
      case '<':
      case '<=':
      case '>':
      case '>=':
        return `(${this.comparison(operator, left, right, line)})`
      default:
        return this.arithmetic(operator, left, right, line)
    }
  }

  private logical(operator: string, left: Expression, right: Expression): string {
    const type = this.analysis.typeOf(left)
    if (type === 'b' && this.analysis.typeOf(right) === 'b') {
      return `(${this.condition(left)}${operator === 'and' ? '&&' : '||'}${this.condition(right)})`
    }
    // `c and a or b` where a is always true is a choice.
    if (
      operator === 'or' &&
      left.kind === 'binary' &&
      left.operator === 'and' &&
      isTruthy(this.analysis.typeOf(left.right))
    ) {
      const condition = this.condition(left.left)
      const chosen = this.expression(left.right)
      return `(${condition}?${chosen}:${this.expression(right)})`
    }
    const code = this.expression(left)
    if (isPlain(code)) {
      if (operator === 'and') return `(${code}===undefined||${code}===false?${code}:${this.expression(right)})`
      return `(${code}!==undefined&&${code}!==false?${code}:${this.expression(right)})`
    }
    const t = this.temp()
    this.release()
    // The temporary is read before the right side may take it over.
    if (operator === 'and') return `((${t}=${code})===undefined||${t}===false?${t}:${this.expression(right)})`
    return `((${t}=${code})!==undefined&&${t}!==false?${t}:${this.expression(right)})`
  }

  /** Both operands ready to be used several times; `before` evaluates those that are not names or literals. */
  private operands(
    left: Expression,
    right: Expression,
    isConcat = false,
  ): { before: string; a: string; b: string; isNumberA: boolean; isNumberB: boolean } {
    const mark = this.state.tempsInUse
    let before = ''
    const first = this.operand(left)
    let a = first.code
    if (!first.isSimple || isReadEarly(left, right, isConcat)) {
      a = this.temp()
      before = `${a}=${first.code},`
    }
    const second = this.operand(right)
    let b = second.code
    if (!second.isSimple) {
      b = this.temp()
      before += `${b}=${second.code},`
    }
    this.releaseTo(mark)
    return { before, a, b, isNumberA: first.isNumber, isNumberB: second.isNumber }
  }

  private arithmetic(operator: string, left: Expression, right: Expression, line: number): string {
    const { before, a, b, isNumberA, isNumberB } = this.operands(left, right)
    const helper = ARITHMETIC[operator]!
    let fast: string
    if (operator === '%') fast = `${a}-Math.floor(${a}/${b})*${b}`
    else if (operator === '^') fast = `${this.use('$pn')}(${a},${b})`
    else fast = `${a}${operator}${b}`
    const tests: string[] = []
    if (!isNumberA) tests.push(`typeof ${a}==='number'`)
    if (!isNumberB) tests.push(`typeof ${b}==='number'`)
    if (tests.length === 0) return `(${before}${fast})`
    const slow = `${this.newline(line)}${this.use(helper)}(${a},${b},${this.describe(left)},${this.describe(right)})`
    return `(${before}${tests.join('&&')}?${fast}:${slow})`
  }

  private concat(left: Expression, right: Expression, line: number): string {
    const typeA = this.analysis.typeOf(left)
    const typeB = this.analysis.typeOf(right)
    if (typeA === 's' && typeB === 's') {
      const code = this.expression(left)
      return `(${code}+${this.expression(right)})`
    }
    const { before, a, b } = this.operands(left, right, true)
    const tests: string[] = []
    if (typeA !== 's') tests.push(`typeof ${a}==='string'`)
    if (typeB !== 's') tests.push(`typeof ${b}==='string'`)
    const slow = `${this.newline(line)}${this.use('$cat')}(${a},${b},${this.describe(left)},${this.describe(right)})`
    return `(${before}${tests.join('&&')}?${a}+${b}:${slow})`
  }

  private comparison(operator: string, left: Expression, right: Expression, line: number): string {
    if (operator === '==' || operator === '~=') return this.equality(operator, left, right)
    const { before, a, b, isNumberA, isNumberB } = this.operands(left, right)
    const tests: string[] = []
    if (!isNumberA) tests.push(`typeof ${a}==='number'`)
    if (!isNumberB) tests.push(`typeof ${b}==='number'`)
    if (tests.length === 0) return `${before}${a}${operator}${b}`
    const helper = this.use(operator === '<' || operator === '>' ? '$lt' : '$le')
    const slowArgs = operator === '<' || operator === '<=' ? `${a},${b}` : `${b},${a}`
    return `${before}${tests.join('&&')}?${a}${operator}${b}:${this.newline(line)}${helper}(${slowArgs})`
  }

  private equality(operator: string, left: Expression, right: Expression): string {
    const js = operator === '==' ? '===' : '!=='
    const isSimpleType = (e: Expression): boolean => {
      const type = this.analysis.typeOf(e)
      return type !== '' && type !== 't'
    }
    if (isSimpleType(left) || isSimpleType(right)) {
      const code = this.expression(left)
      return `${code}${js}${this.expression(right)}`
    }
    const { before, a, b } = this.operands(left, right)
    const helper = this.use('$eq')
    if (operator === '==') return `${before}${a}===${b}||${helper}(${a},${b})`
    return `${before}${a}!==${b}&&!${helper}(${a},${b})`
  }

  /** An expression as a JavaScript condition: a boolean, or an operator expression of booleans, in parentheses if needed. */
  private condition(e: Expression): string {
    switch (e.kind) {
      case 'true':
        return 'true'
      case 'false':
      case 'nil':
        return 'false'
      case 'paren':
        return this.condition(e.inner)
      case 'unary':
        if (e.operator === 'not') return `!(${this.condition(e.operand)})`
        break
      case 'binary':
        switch (e.operator) {
          case 'and':
          case 'or': {
            const left = this.condition(e.left)
            return `(${left}${e.operator === 'and' ? '&&' : '||'}${this.condition(e.right)})`
          }
          case '==':
          case '~=':
          case '<':
          case '<=':
          case '>':
          case '>=':
            return `(${this.comparison(e.operator, e.left, e.right, e.line)})`
          default:
        }
        break
      default:
    }
    const type = this.analysis.typeOf(e)
    const code = this.expression(e)
    if (type === 'b') return code
    if (isTruthy(type)) return `(${code},true)`
    if (isPlain(code)) return `(${code}!==undefined&&${code}!==false)`
    const t = this.temp()
    this.release()
    return `((${t}=${code})!==undefined&&${t}!==false)`
  }

  /** How error messages name an expression: a kind letter and the name, as a literal (see `runtime.ts`). */
  private describe(e: Expression): string {
    switch (e.kind) {
      case 'variable':
        return quote((e.user === e.variable.owner ? 'l' : 'u') + e.variable.name)
      case 'global':
        return quote(`g${e.name}`)
      case 'index':
        return e.key.kind === 'string' ? quote(`f${e.key.value}`) : '"f?"'
      case 'paren':
        return isMulti(e.inner) ? '""' : this.describe(e.inner)
      case 'binary':
        return isFoldedLogic(e) ? this.describe(e.right) : '""'
      default:
        return '""'
    }
  }
}

/**
 * Whether the left operand's value must be taken before the right side runs, because that may assign the variable. Lua
 * copies upvalues and the operands of `..` to registers first, but reads a local only when the operation happens.
 */
function isReadEarly(left: Expression, right: Expression, isConcat: boolean): boolean {
  if (left.kind !== 'variable' || !left.variable.isReassigned) return false
  if (!isConcat && left.user === left.variable.owner) return false
  return right.kind !== 'variable' && right.kind !== 'string' && right.kind !== 'number'
}

/** Whether code is a bare JavaScript name, free to be repeated. */
function isPlain(code: string): boolean {
  return /^[\w$]+(?:\[0\])?$/.test(code)
}

/** Whether a constant on the left leaves nothing but the right operand, which Lua then names in messages. */
function isFoldedLogic(e: BinaryExpression): boolean {
  const { kind } = e.left
  if (e.operator === 'and') return kind === 'true' || kind === 'number' || kind === 'string'
  return e.operator === 'or' && (kind === 'false' || kind === 'nil')
}

function isNumeric(code: string): boolean {
  return /^\(?-?[\d.e+]+\)?$/.test(code)
}

function numberLiteral(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'Infinity'
  return value < 0 ? `(${value})` : `${value}`
}

function constantNumber(e: Expression): number | null {
  if (e.kind === 'number') return e.value
  if (e.kind === 'unary' && e.operator === '-' && e.operand.kind === 'number') return -e.operand.value
  return null
}

const PLAIN_TEXT = /^[ !#-[\]-~]*$/

/** A string as a JavaScript literal that contains printable ASCII only. */
export function quote(text: string): string {
  if (PLAIN_TEXT.test(text)) return `"${text}"`
  let out = '"'
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 34 || c === 92) out += `\\${text[i]}`
    else if (c >= 32 && c < 127) out += text[i]
    else out += `\\x${c < 16 ? '0' : ''}${c.toString(16)}`
  }
  return `${out}"`
}
