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
 *   `$d` (in libraries `$D.d`) is the call depth in stack slots: saved on entry, restored on return.
 * - `$1`, `$2` … are temporaries of the function; they are reserved as long as a half-built expression needs them.
 * - `var` for all variables that need not be fresh per loop round: it needs no checks for use before definition.
 *
 * In coroutine mode (scripts that can yield) functions are generators and every call is a `yield*`; the text returns the
 * function to run.
 */
import type {
  Block,
  CallExpression,
  Chunk,
  Expression,
  FunctionBody,
  MethodExpression,
  Statement,
  Variable,
} from './ast.ts'
import { builtinInfo } from './builtins.ts'
import {
  constantNumber,
  ExpressionGenerator,
  type GeneratorOptions,
  isNumeric,
  isPlain,
  Parts,
  quote,
} from './expression-generator.ts'
import { isMulti } from './parser.ts'
import type { HelperName } from './runtime.ts'
import type { LuaFunction } from './value.ts'

export interface GeneratedCode {
  readonly body: string
  /** Runtime helpers used, in parameter order. */
  readonly helpers: readonly HelperName[]
  /** Values of the parameters `$c0`, `$c1` … */
  readonly constants: readonly LuaFunction[]
  /** Values of the parameters `$q0`, `$q1` …: literals of the source, unless they stand in the text. */
  readonly literals: readonly (number | string)[]
}

/** Steps before the first `tick`; later rounds take what `tick` returns. */
const FIRST_BUDGET = 2000
/** A round of a loop, or a call, counts as one step for each so many chars of its text: what it may do grows with it. */
const STEP_CHARS = 2048
/**
 * Call depth allowed, in 8-byte stack slots: what a thread with V8's default stack of 984 KB has, less 360 KB that
 * library functions and commands need at the deepest point.
 */
const DEPTH_SLOTS_MAX = 78_000
/** Slots of an interpreter frame beside registers and arguments. */
const FRAME_SLOTS = 14

export function generate(chunk: Chunk, options: GeneratorOptions): GeneratedCode {
  return new Generator(chunk, options).run()
}

class Generator extends ExpressionGenerator {
  private readonly chunk: Chunk
  /** Whether some call takes a number of arguments that only the run decides. */
  private readonly hasSpreads: boolean
  private usesBudget = false
  private loopCount = 0

  constructor(chunk: Chunk, options: GeneratorOptions) {
    super(chunk, options)
    this.chunk = chunk
    this.hasSpreads = chunk.functions.some((fn) => fn.calls.some((call) => call !== null && this.isSpreadCall(call)))
  }

  run(): GeneratedCode {
    const body = this.block(this.chunk.main.body)
    const { main } = this.chunk
    const fallThrough = main.body.at(-1)?.kind === 'return' ? '' : `return ${this.use('$E')};`
    const prologue = this.prologue('') + (main.usesVararg ? 'var $v=$V;' : '')
    const counters = this.usesBudget ? `var $b=${FIRST_BUDGET},$d=0;` : ''
    const code = `"use strict";${counters}${prologue}${body}${fallThrough}`
    // It is called from outside of the text: a function in between would count as a level of calls.
    const text = this.isCoroutineMode ? `return ${this.use('$mk')}(function*(){${code}})` : code
    return { body: text, helpers: this.helpers, constants: this.constants, literals: this.literals }
  }

  // Functions

  protected override functionText(fn: FunctionBody, name: string, self: Variable | null): string {
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
      ? `${head}${this.prologue(body)}$t:for(;;){${this.budgetStep(body)}${body}${tail}}}`
      : `${head}${this.prologue(body)}${body}${tail}}`
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

  private prologue(body: string): string {
    const { state } = this
    let text = ''
    if (state.tempCount > 0) {
      text += 'var $1'
      for (let i = 2; i <= state.tempCount; i++) text += `,$${i}`
      text += ';'
    }
    if (!state.callsLua) return text
    if (this.isCoroutineMode) return text + this.budgetStep(body)
    this.usesBudget = true
    const weight = FRAME_SLOTS + state.fn.params.length + state.fn.localCount + state.tempCount * 2
    // Arguments lie on the stack, up to three times on their way through `pcall`.
    const total = this.hasSpreads && state.parent !== null ? `${weight}+arguments.length*3` : `${weight}`
    const depth = this.depth()
    return `${text}${this.budgetStep(body)}const $s=${depth},$m=$s+${total};if((${depth}=$m)>${DEPTH_SLOTS_MAX})${this.use('$so')}();var $0;`
  }

  /** Restores the call depth before a return whose value needs no more calls. */
  private leave(): string {
    return this.mayCount() ? `${this.depth()}=$s;` : ''
  }

  private budgetStep(body: string): string {
    this.usesBudget = true
    const steps = Math.ceil(body.length / STEP_CHARS)
    return `if(${steps > 1 ? `($b-=${steps})` : '--$b'}<0)$b=${this.use('$k')}();`
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
        return this.raiseStatement(s.call) ?? this.callStatement(s.call)
      case 'do':
        return `{${this.block(s.body)}}`
      case 'while': {
        const condition = this.condition(s.condition)
        const body = this.block(s.body)
        return `while(${condition}){${this.budgetStep(body)}${body}}`
      }
      case 'repeat': {
        const body = this.block(s.body)
        const last = s.body.at(-1)?.kind
        const exit = last === 'return' || last === 'break' ? '' : `if(${this.condition(s.condition)})break;`
        return `for(;;){${this.budgetStep(body)}${body}${exit}}`
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
    // It fails when the value is there, but for `function f() … end`, which fails in its first line.
    const isBroken = line > this.line
    if (target.kind !== 'index') {
      const code = this.expression(value)
      return isBroken ? `${code};${this.newline(line)}${this.globalWrite()}` : `${this.use('$gw')}(${code});`
    }
    const parts = new Parts(this, line)
    const object = parts.add(this.expression(target.object))
    const isNumber = this.analysis.typeOf(target.key) === 'n'
    const helper = this.use(target.key.kind === 'string' ? '$ss' : isNumber ? '$sn' : '$sa')
    const key = target.key.kind === 'string' ? quote(target.key.value) : parts.add(this.expression(target.key))
    const code = parts.add(this.expression(value))
    return `${parts.before(`${this.newline(line)}${helper}(${object},${key},${code},${this.describe(target.object)})`)};`
  }

  private returnStatement(values: readonly Expression[]): string {
    if (values.length === 0) return `${this.leave()}return ${this.use('$E')};`
    if (values.length === 1) {
      const value = values[0]!
      if (value.kind === 'call' && this.isSelfCall(value)) return this.selfJump(value)
      const raise = value.kind === 'call' ? this.raiseStatement(value) : null
      if (raise !== null) return raise
      const code = isMulti(value) ? this.results(value) : this.expression(value)
      if (!this.mayCount()) return `return (${code});`
      if (isPlain(code)) return `${this.leave()}return ${code};`
      return `$0=${code};${this.leave()}return $0;`
    }
    const list = this.list(values)
    if (!this.mayCount()) return `return [${list}];`
    return `$0=[${list}];${this.leave()}return $0;`
  }

  private callStatement(call: CallExpression | MethodExpression): string {
    this.callAlone = call
    const code = this.call(call)
    this.callAlone = null
    return `${code};`
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
    const unknown = [s.start, s.limit, s.step].filter((e) => e !== null && this.analysis.typeOf(e) !== 'n')
    const isOff = unknown.length > 0 && s.checkLine > this.line
    const isChecked = isOff || unknown.length > 1 || (unknown.length === 1 && unknown[0] !== (s.step ?? s.limit))
    // All are evaluated before the first one is checked.
    const number = (e: Expression, what: 'initial' | 'limit' | 'step'): string =>
      isChecked ? this.expression(e) : this.forNumber(e, what)
    const start = number(s.start, 'initial')
    const limitCode = number(s.limit, 'limit')
    const stepCode = s.step === null ? '1' : number(s.step, 'step')
    const isFresh = variable.isReassigned || variable.isCaptured
    const counter = isFresh ? `$f${id}` : variable.js
    const limit = isNumeric(limitCode) ? limitCode : `$l${id}`
    const step = isNumeric(stepCode) ? stepCode : `$p${id}`
    let head = `var ${counter}=${start}`
    if (limit !== limitCode) head += `,${limit}=${limitCode}`
    if (step !== stepCode) head += `,${step}=${stepCode}`
    if (isChecked) head += this.forChecks(s, [counter, limit, step])
    // Lua takes a step back, and then forth, before the first round: a start much smaller than the step loses digits.
    if (!isWholeConstant(s.start) || (s.step !== null && !isWholeConstant(s.step))) {
      const exact = `${counter}=${counter}-${step}+${step}`
      head += isChecked ? `${exact};` : `,$r${id}=${exact}`
    }
    let condition = `${counter}<=${limit}`
    if (s.step !== null) {
      const value = constantNumber(s.step)
      if (value === null) condition = `${step}>0?${counter}<=${limit}:${limit}<=${counter}`
      else if (value <= 0) condition = `${limit}<=${counter}`
    }
    const fresh = isFresh ? `${this.declaration(variable)}=${counter};` : ''
    const block = this.block(s.body)
    const body = `${this.budgetStep(block)}${fresh}${block}`
    if (isChecked) return `${head}for(;${condition};${counter}+=${step}){${body}}`
    return `for(${head};${condition};${counter}+=${step}){${body}}`
  }

  /** Makes numbers of the values that a numeric `for` begins with. */
  private forChecks(
    s: Extract<Statement, { kind: 'numericFor' }>,
    [counter, limit, step]: readonly [counter: string, limit: string, step: string],
  ): string {
    const check = (e: Expression | null, name: string, what: string): string => {
      if (e === null || this.analysis.typeOf(e) === 'n') return ''
      return `if(typeof ${name}!=='number')${name}=${this.use('$fn')}(${name},"${what}");`
    }
    return `;${this.newline(s.checkLine)}${check(s.start, counter, 'initial')}${check(s.limit, limit, 'limit')}${check(s.step, step, 'step')}`
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
    const block = this.block(s.body)
    const body = `${this.budgetStep(block)}${fresh}${block}`
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
    const block = this.block(s.body)
    const body = `${this.budgetStep(block)}${fresh}${block}`
    return `for(${head};(${value}=$f${id}.getNumber($l${id}))!==undefined;$l${id}++){${body}}`
  }

  private iteratorLoop(s: Extract<Statement, { kind: 'genericFor' }>): string {
    const id = ++this.loopCount
    const [f, state, control, result] = [`$f${id}`, `$l${id}`, `$p${id}`, `$w${id}`]
    const line = this.newline(s.line)
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
      : `${this.use('$it')}(${callee},${state},${control})`
    let fresh = ''
    s.vars.forEach((variable, i) => {
      const value = i === 0 ? control : `${result} instanceof Array?${result}[${i}]:undefined`
      fresh += `${this.declaration(variable)}=${value};`
    })
    const step = `${result}=${call};${control}=${result} instanceof Array?${result}[0]:${result};`
    const check = `if(${control}===undefined)break;`
    if (this.line > s.line) {
      // The call belongs to the first line of the expressions, so it has to stand before them.
      const first = `$i${id}`
      const block = this.block(s.body)
      const head = `${line}for(var ${first}=true;;){${this.budgetStep(block)}if(!${first}){${step}${check}`
      return `${head}}else{${first}=false;${setup}continue;}${fresh}${block}}`
    }
    const block = this.block(s.body)
    return `${line}${setup}for(;;){${this.budgetStep(block)}${step}${check}${fresh}${block}}`
  }
}

function isWholeConstant(e: Expression): boolean {
  return Number.isSafeInteger(constantNumber(e))
}
