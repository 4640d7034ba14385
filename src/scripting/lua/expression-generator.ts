/**
 * The expression half of the generator (see `generator.ts` for what the generated text looks like): names, temporaries,
 * calls and operators.
 */
import { Analysis, isTruthy, operandName } from './analysis.ts'
import type { CallExpression, Chunk, Expression, FunctionBody, MethodExpression, TableItem, Variable } from './ast.ts'
import { type BuiltinInfo, builtinInfo } from './builtins.ts'
import { isMulti } from './parser.ts'
import type { HelperName } from './runtime.ts'
import type { LuaTable } from './table.ts'
import type { LuaFunction } from './value.ts'

export interface GeneratorOptions {
  readonly chunkName: string
  /** Global names to bind at compile time; null to look them up at run time. */
  readonly globals: LuaTable | null
  /** Those that names outside of functions are bound to, when they differ; else null. */
  readonly mainGlobals: LuaTable | null
  /** The methods of strings, for calls such as `s:sub(1)`. */
  readonly stringMethods: LuaTable
  readonly isCoroutineMode: boolean
  readonly isLibrary: boolean
  /** Whether numbers and strings of the source become parameters of the text. */
  readonly sharesText: boolean
}

const ARITHMETIC: Readonly<Record<string, HelperName>> = {
  '+': '$add',
  '-': '$sub',
  '*': '$mul',
  '/': '$div',
  '%': '$mod',
  '^': '$pow',
}

/** What a function under generation needs to remember. */
export interface FunctionState {
  readonly fn: FunctionBody
  readonly parent: FunctionState | null
  tempCount: number
  tempsInUse: number
  /** It calls something that may be a Lua function. */
  readonly callsLua: boolean
  /** The variable through which a `return f(…)` to itself becomes a jump, or null. */
  readonly self: Variable | null
  jumpsToSelf: boolean
  /** It is only called by `pcall` or `xpcall`, so it may return a `LuaError` where it would raise it. */
  readonly isProtected: boolean
}

/** Items of a table constructor with keys that are written as calls within calls. */
const NESTED_ITEMS_MAX = 50

interface Operand {
  readonly code: string
  /** Whether the code is a name or a literal, which may be repeated. */
  readonly isSimple: boolean
  readonly isNumber: boolean
}

export abstract class ExpressionGenerator {
  protected readonly options: GeneratorOptions
  protected readonly analysis: Analysis
  protected readonly isCoroutineMode: boolean
  protected readonly helpers: HelperName[] = []
  protected readonly helperSet = new Set<HelperName>()
  protected readonly constants: LuaFunction[] = []
  protected readonly constantNames = new Map<LuaFunction, string>()
  protected readonly literals: (number | string)[] = []
  protected state: FunctionState
  line = 1
  /** The call that is a statement by itself. */
  protected callAlone: CallExpression | MethodExpression | null = null
  private readonly protectedFunctions = new Set<FunctionBody>()

  constructor(chunk: Chunk, options: GeneratorOptions) {
    this.options = options
    this.isCoroutineMode = options.isCoroutineMode
    this.analysis = new Analysis(chunk, options.globals, options.mainGlobals)
    this.state = this.newState(chunk.main, null, null)
  }

  /** The text of a function expression. */
  protected abstract functionText(fn: FunctionBody, name: string, self: Variable | null): string

  /** Whether a function calls Lua code must be known at its first return, so it is found before its body is generated. */
  protected newState(fn: FunctionBody, parent: FunctionState | null, self: Variable | null): FunctionState {
    const callsLua = fn.calls.some((call) => {
      if (call === null || call.kind === 'method') return true
      const builtin = this.analysis.constantFunction(call.callee)
      return builtin === null || builtinInfo(builtin).callsLua
    })
    return {
      fn,
      parent,
      tempCount: 0,
      tempsInUse: 0,
      callsLua,
      self,
      jumpsToSelf: false,
      isProtected: this.protectedFunctions.has(fn),
    }
  }
  // Names and lines

  protected use(helper: HelperName): HelperName {
    if (!this.helperSet.has(helper)) {
      this.helperSet.add(helper)
      this.helpers.push(helper)
    }
    return helper
  }

  protected constantName(fn: LuaFunction): string {
    let name = this.constantNames.get(fn)
    if (name === undefined) {
      name = `$c${this.constants.length}`
      this.constants.push(fn)
      this.constantNames.set(fn, name)
    }
    return name
  }

  /** Each literal has a parameter of its own: texts must not differ by which of them are equal. */
  private literalName(value: number | string): string {
    return `$q${this.literals.push(value) - 1}`
  }

  protected newline(line: number): string {
    if (line <= this.line) return ''
    const breaks = '\n'.repeat(line - this.line)
    this.line = line
    return breaks
  }

  temp(): string {
    const { state } = this
    const index = ++state.tempsInUse
    if (index > state.tempCount) state.tempCount = index
    return `$${index}`
  }

  protected release(count = 1): void {
    this.state.tempsInUse -= count
  }

  /** Runs code between two marks of the temporaries: all taken in between are free afterwards. */
  protected releaseTo(mark: number): void {
    this.state.tempsInUse = mark
  }

  // Lists and calls

  /** Comma-separated values; the last one is spread when it may give several. */
  protected list(values: readonly Expression[]): string {
    let text = ''
    for (let i = 0; i < values.length; i++) {
      if (i > 0) text += ','
      const value = values[i]!
      if (i === values.length - 1 && isMulti(value)) text += this.spread(value)
      else text += this.expression(value)
    }
    return text
  }

  protected spread(e: Expression): string {
    if (e.kind === 'vararg') return '...$v'
    const code = this.results(e)
    if ((e.kind === 'call' || e.kind === 'method') && !this.isCoroutineMode && this.analysis.isSingleCall(e))
      return code
    return `...${this.use('$sp')}(${code})`
  }

  /** All results of a call or `...`, as a function returns them. */
  protected results(e: Expression): string {
    if (e.kind === 'vararg') return `${this.use('$rv')}($v)`
    if (e.kind === 'call' || e.kind === 'method') return this.call(e)
    return this.expression(e)
  }

  protected call(e: CallExpression | MethodExpression): string {
    if (e.kind === 'method') return this.methodCall(e)
    const builtin = this.analysis.constantFunction(e.callee)
    if (builtin !== null) {
      const info = builtinInfo(builtin)
      if (!(this.isCoroutineMode && info.inline === 'yield')) return this.builtinCall(e, builtin, info)
    }
    if (this.isCoroutineMode) {
      const mark = this.state.tempsInUse
      const parts = new Parts(this, e.line)
      const callee = parts.add(this.expression(e.callee))
      const head = `(${this.newline(e.line)}yield*${this.use('$gc')}(${callee},${this.describe(e.callee)},[`
      const call = `${head}${this.list(e.args)}]))`
      this.releaseTo(mark)
      return parts.before(call)
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

  protected builtinCall(e: CallExpression, builtin: LuaFunction, info: BuiltinInfo): string {
    const line = this.newline(e.line)
    const first = e.args[0]
    // Errors of arguments look here for the name of the call, when it is not that of the function (see `position.ts`).
    const alias = e.callee.kind === 'variable' ? `/*${operandName(e.callee)}*/` : ''
    switch (info.inline) {
      case 'floor':
        if (e.args.length === 1 && !isMulti(first!)) {
          const operand = this.operand(first!)
          if (operand.isNumber) return `${line}Math.floor(${operand.code})`
          if (this.line > e.line) return `${line}${alias}${this.constantName(builtin)}(${operand.code})`
          const t = this.temp()
          this.release()
          const name = `${alias}${this.constantName(builtin)}`
          return `${line}(typeof(${t}=${operand.code})==='number'?Math.floor(${t}):${name}(${t}))`
        }
        break
      case 'error':
        if (this.isPlainRaise(e)) return `${line}${this.use('$er')}${this.raiseArguments(e)}`
        break
      case 'select':
        if (e.args.length === 2 && e.args[1]!.kind === 'vararg' && first!.kind === 'string' && first!.value === '#') {
          return `${line}$v.length`
        }
        break
      case 'protected': {
        if (this.isCoroutineMode) break
        if (first?.kind === 'function') this.protectedFunctions.add(first.fn)
        const t = this.temp()
        const code = `${this.constantName(builtin)}(${this.list(e.args)})`
        this.release()
        return `${line}(${t}=${code},${this.depth()}=$m,${t})`
      }
      default:
    }
    if (info.specialize !== null && first?.kind === 'string') {
      const rest = e.args.slice(1)
      const last = rest.at(-1)
      // Of a script that may never run again nothing is encoded ahead.
      const isOpen = (last !== undefined && isMulti(last)) || this.options.sharesText
      const known = isOpen ? null : rest.map(constantValue)
      const special = info.specialize({ first: first.value, rest: known, isStatement: e === this.callAlone })
      const passed = known === null ? rest : rest.filter((_, i) => known[i] === null)
      if (special !== null) return `${line}${this.constantName(special)}(${this.list(passed)})`
    }
    return `${line}${alias}${this.constantName(builtin)}(${this.list(e.args)})`
  }

  /** Whether a call of `error` has one argument, whose line is known. */
  private isPlainRaise(e: CallExpression): boolean {
    const [first] = e.args
    return first !== undefined && e.args.length === 1 && (!isMulti(first) || this.isFirstOnly(first))
  }

  private raiseArguments(e: CallExpression): string {
    const position = quote(`${this.options.chunkName}:${e.line}: `)
    return `(${this.expression(e.args[0]!)},${position},${e.line})`
  }

  /**
   * A statement that raises what `error(…)` would, or null when the call is another one. Unlike a call it needs no frame
   * that V8 has to unwind; and in a protected function nothing is thrown at all, which takes a microsecond or two.
   */
  protected raiseStatement(e: CallExpression | MethodExpression): string | null {
    if (e.kind === 'method') return null
    const builtin = this.analysis.constantFunction(e.callee)
    if (builtin === null || builtinInfo(builtin).inline !== 'error' || !this.isPlainRaise(e)) return null
    const keyword = this.state.isProtected && !this.isCoroutineMode ? 'return' : 'throw'
    return `${keyword}(${this.newline(e.line)}${this.use('$ne')}${this.raiseArguments(e)});`
  }

  /** The variable of the call depth: a library's functions are entered from outside, who sets it back. */
  protected depth(): string {
    return this.options.isLibrary ? `${this.use('$D')}.d` : '$d'
  }

  /** Whether a call in last place gives one value anyway. */
  protected isFirstOnly(e: Expression): boolean {
    return (e.kind === 'call' || e.kind === 'method') && this.analysis.isSingleCall(e)
  }

  protected methodCall(e: MethodExpression): string {
    const object = this.operand(e.object)
    const t = object.isSimple ? object.code : this.temp()
    const name = quote(e.name)
    const description = this.describe(e.object)
    const method = this.options.stringMethods.getString(e.name)
    const generic = `${this.newline(e.selfLine)}${this.use('$mt')}(${t},${name},${description})`
    let callee: string
    if (typeof method === 'function') {
      const evaluated = object.isSimple ? t : `(${t}=${object.code})`
      const asMethod = builtinInfo(method).asMethod ?? method
      callee = `(typeof ${evaluated}==='string'?${this.constantName(asMethod)}:${generic})`
    } else callee = object.isSimple ? generic : `(${t}=${object.code},${generic})`
    const rest = e.args.length > 0
    let text: string
    if (this.isCoroutineMode) {
      const called = this.temp()
      const head = `(${called}=${callee},${this.newline(e.line)}yield*${this.use('$gc')}(${called},"",[`
      text = `${head}${t}${rest ? `,${this.list(e.args)}` : ''}]))`
      this.release()
    } else text = `${callee}${this.newline(e.line)}(${t}${rest ? `,${this.list(e.args)}` : ''})`
    if (!object.isSimple) this.release()
    return text
  }

  // Expressions

  /** An expression with exactly one value. */
  protected expression(e: Expression): string {
    switch (e.kind) {
      case 'nil':
        return 'undefined'
      case 'true':
        return 'true'
      case 'false':
        return 'false'
      case 'number':
        return this.options.sharesText ? this.literalName(e.value) : numberLiteral(e.value)
      case 'string':
        return this.options.sharesText ? this.literalName(e.value) : quote(e.value)
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

  protected variableText(e: Extract<Expression, { kind: 'variable' }>): string {
    const constant = this.analysis.constantFunction(e)
    return constant === null ? e.variable.js : this.constantName(constant)
  }

  protected globalText(e: Extract<Expression, { kind: 'global' }>): string {
    const globals = this.analysis.globalsOf(e)
    if (globals === null) return `${this.newline(e.line)}${this.use('$gg')}(${quote(e.name)})`
    if (!this.options.isLibrary) {
      if (e.name === 'KEYS') return '$KEYS'
      if (e.name === 'ARGV') return '$ARGV'
    }
    const value = globals.getString(e.name)
    if (value === undefined) return `${this.newline(e.line)}${this.use('$gx')}(${quote(e.name)})`
    if (typeof value === 'function') return this.constantName(value)
    return `${this.use('$gg')}(${quote(e.name)})`
  }

  protected indexText(e: Extract<Expression, { kind: 'index' }>): string {
    const constant = this.analysis.constantFunction(e)
    if (constant !== null) return this.constantName(constant)
    if (
      e.object.kind === 'global' &&
      e.object.name === '_G' &&
      e.key.kind === 'string' &&
      this.options.globals !== null
    ) {
      return this.globalText({ ...e.object, name: e.key.value, line: e.line })
    }
    const mark = this.state.tempsInUse
    const parts = new Parts(this, e.line)
    const object = parts.add(this.expression(e.object))
    const description = this.describe(e.object)
    if (e.key.kind === 'string') {
      const line = this.newline(e.line)
      this.releaseTo(mark)
      return parts.before(`${line}${this.use('$gs')}(${object},${quote(e.key.value)},${description})`)
    }
    const helper = this.use(this.analysis.typeOf(e.key) === 'n' ? '$gn' : '$ga')
    const key = parts.add(this.expression(e.key))
    const line = this.newline(e.line)
    this.releaseTo(mark)
    return parts.before(`${line}${helper}(${object},${key},${description})`)
  }

  protected tableText(items: readonly TableItem[]): string {
    if (items.length === 0) return `new ${this.use('$T')}()`
    if (items.every((item) => item.key === null)) return this.listTable(items.map((item) => item.value))
    const isMixed = items.some((item) => item.key === null)
    if (items.length > NESTED_ITEMS_MAX || items.some((item) => item.line > this.line && mayRefuse(item)))
      return this.largeTableText(items, isMixed)
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

  /**
   * A constructor of so many items that V8 could not nest them, or of items that fail on lines of their own: one after the
   * other, with the table in a temporary.
   */
  private largeTableText(items: readonly TableItem[], isMixed: boolean): string {
    const t = this.temp()
    let text = `(${t}=new ${this.use('$T')}()`
    items.forEach((item, i) => {
      const { key, value } = item
      if (key === null) {
        if (i === items.length - 1 && isMulti(value)) text += `,${this.use('$ta')}(${t},[${this.spread(value)}])`
        else text += `,${this.use('$tp')}(${t},${this.expression(value)})`
      } else if (key.kind === 'string') text += `,${t}.init(${quote(key.value)},${this.expression(value)})`
      else {
        const mark = this.state.tempsInUse
        const parts = new Parts(this, item.line)
        const keyCode = parts.add(this.expression(key))
        const valueCode = parts.add(this.expression(value))
        const call = `${this.newline(item.line)}${this.use(isMixed ? '$tk' : '$ti')}(${t},${keyCode},${valueCode})`
        this.releaseTo(mark)
        text += `,${parts.before(call)}`
      }
    })
    this.release()
    return isMixed ? `${text},${this.use('$td')}(${t}))` : `${text},${t})`
  }

  protected listTable(values: readonly Expression[]): string {
    const last = values.at(-1)!
    if (values.length === 1 && last.kind === 'vararg') return `${this.use('$T')}.fromList($v.slice())`
    if (isMulti(last) || !isTruthy(this.analysis.typeOf(last)))
      return `${this.use('$T')}.fromList([${this.list(values)}])`
    return `new ${this.use('$T')}([${this.list(values)}])`
  }

  protected operand(e: Expression): Operand {
    const code = this.expression(e)
    return { code, isSimple: isPlain(code) || isNumeric(code), isNumber: this.analysis.typeOf(e) === 'n' }
  }

  protected unary(operator: string, operand: Expression, line: number): string {
    if (operator === 'not') return `!(${this.condition(operand)})`
    if (operator === '#') {
      const mark = this.state.tempsInUse
      const parts = new Parts(this, line)
      const code = this.expression(operand)
      if (this.analysis.typeOf(operand) === 't') return `${code}.arr.length`
      const name = parts.add(code)
      this.releaseTo(mark)
      return parts.before(`${this.newline(line)}${this.use('$len')}(${name},${this.describe(operand)})`)
    }
    const value = this.operand(operand)
    if (value.isNumber) return `(-${value.code})`
    const t = this.temp()
    this.release()
    const slow = `${this.newline(line)}${this.use('$unm')}(${t},${this.describe(operand)})`
    return `(typeof(${t}=${value.code})==='number'?-${t}:${slow})`
  }

  protected binary(operator: string, left: Expression, right: Expression, line: number): string {
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

  protected logical(operator: string, left: Expression, right: Expression): string {
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
  protected operands(
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

  protected arithmetic(operator: string, left: Expression, right: Expression, line: number): string {
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

  protected concat(left: Expression, right: Expression, line: number): string {
    const typeA = this.analysis.typeOf(left)
    const typeB = this.analysis.typeOf(right)
    if (typeA === 's' && typeB === 's') {
      const code = this.expression(left)
      return `${this.use('$jo')}(${code}+${this.expression(right)})`
    }
    const { before, a, b } = this.operands(left, right, true)
    const tests: string[] = []
    if (typeA !== 's') tests.push(`typeof ${a}==='string'`)
    if (typeB !== 's') tests.push(`typeof ${b}==='string'`)
    const slow = `${this.newline(line)}${this.use('$cat')}(${a},${b},${this.describe(left)},${this.describe(right)})`
    return `(${before}${tests.join('&&')}?${this.use('$jo')}(${a}+${b}):${slow})`
  }

  protected comparison(operator: string, left: Expression, right: Expression, line: number): string {
    if (operator === '==' || operator === '~=') return this.equality(operator, left, right, line)
    const { before, a, b, isNumberA, isNumberB } = this.operands(left, right)
    const tests: string[] = []
    if (!isNumberA) tests.push(`typeof ${a}==='number'`)
    if (!isNumberB) tests.push(`typeof ${b}==='number'`)
    if (tests.length === 0) return `${before}${a}${operator}${b}`
    const helper = this.use(operator === '<' || operator === '>' ? '$lt' : '$le')
    const slowArgs = operator === '<' || operator === '<=' ? `${a},${b}` : `${b},${a}`
    return `${before}${tests.join('&&')}?${a}${operator}${b}:${this.newline(line)}${helper}(${slowArgs})`
  }

  protected equality(operator: string, left: Expression, right: Expression, line: number): string {
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
    const helper = `${this.newline(line)}${this.use('$eq')}`
    if (operator === '==') return `${before}${a}===${b}||${helper}(${a},${b})`
    return `${before}${a}!==${b}&&!${helper}(${a},${b})`
  }

  /** An expression as a JavaScript condition: a boolean, or an operator expression of booleans, in parentheses if needed. */
  protected condition(e: Expression): string {
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

  /** How error messages name an expression, as a literal. */
  protected describe(e: Expression): string {
    return quote(operandName(e))
  }
}

/**
 * Operands of an operation that may fail: its code has to stand behind theirs when they are on lines before it, so they go
 * to temporaries then.
 */
export class Parts {
  private readonly generator: TemporarySource
  private readonly isBroken: boolean
  private text = ''

  /** `line` is that of the operation; made before the operands are generated. */
  constructor(generator: TemporarySource, line: number) {
    this.generator = generator
    this.isBroken = line > generator.line
  }

  /** What stands for an operand in the operation. */
  add(code: string): string {
    if (!this.isBroken || isPlain(code) || isNumeric(code)) return code
    const t = this.generator.temp()
    this.text += `${t}=${code},`
    return t
  }

  before(operation: string): string {
    return this.text === '' ? operation : `(${this.text}${operation})`
  }
}

interface TemporarySource {
  readonly line: number
  temp(): string
}

/** Whether setting the item of a table constructor may fail: its key may be nil or NaN. */
function mayRefuse({ key }: TableItem): boolean {
  return key !== null && key.kind !== 'string' && key.kind !== 'number'
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
export function isPlain(code: string): boolean {
  return /^[\w$]+(?:\[0\])?$/.test(code)
}

export function isNumeric(code: string): boolean {
  return /^\(?-?[\d.e+]+\)?$/.test(code)
}

function numberLiteral(value: number): string {
  return value < 0 || Object.is(value, -0) ? `(-${-value})` : `${value}`
}

/** The value of a string or number that is written out in the source, else null. */
function constantValue(e: Expression): string | number | null {
  return e.kind === 'string' || e.kind === 'number' ? e.value : null
}

export function constantNumber(e: Expression): number | null {
  return e.kind === 'number' ? e.value : null
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
