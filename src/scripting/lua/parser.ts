/**
 * Recursive-descent parser for Lua 5.1 (lparser.c), with its error wording, limits and name resolution. A script that
 * carries its values in its text is parsed anew each time, so this is warm code: no regular expressions, no backtracking.
 */
import type {
  Block,
  CallExpression,
  Chunk,
  Expression,
  FunctionBody,
  FunctionExpression,
  MethodExpression,
  ReturnStatement,
  Statement,
  TableItem,
  Variable,
} from './ast.ts'
import { Lexer, type LuaCompileError, Token, tokenName } from './lexer.ts'
import { $pn } from './runtime.ts'

/** Nested syntax levels that Lua accepts (LUAI_MAXCCALLS). */
const LEVELS_MAX = 200
/** Local variables in one function (LUAI_MAXVARS). */
const LOCALS_MAX = 200
/** Registers of a function (MAXSTACK); of what needs them, only locals and the values of a list are counted. */
const REGISTERS_MAX = 250

// [left, right] binding power of binary operators, by token.
const PRIORITY = new Map<number, readonly [number, number, string]>([
  [43, [6, 6, '+']],
  [45, [6, 6, '-']],
  [42, [7, 7, '*']],
  [47, [7, 7, '/']],
  [37, [7, 7, '%']],
  [94, [10, 9, '^']],
  [Token.Concat, [5, 4, '..']],
  [Token.Ne, [3, 3, '~=']],
  [Token.Eq, [3, 3, '==']],
  [60, [3, 3, '<']],
  [Token.Le, [3, 3, '<=']],
  [62, [3, 3, '>']],
  [Token.Ge, [3, 3, '>=']],
  [Token.And, [2, 2, 'and']],
  [Token.Or, [1, 1, 'or']],
])
const UNARY_PRIORITY = 8

interface Scope {
  readonly parent: Scope | null
  readonly names: Map<string, Variable>
  readonly fn: FunctionBody
  readonly isLoop: boolean
  localCount: number
}

/** Parses a chunk; throws `LuaCompileError`. */
export function parseChunk(source: string, chunkName: string): Chunk {
  return new Parser(source, chunkName).chunk()
}

class Parser {
  private readonly lexer: Lexer
  private readonly functions: FunctionBody[] = []
  private readonly variables: Variable[] = []
  private readonly globals = new Set<string>()
  private fn: FunctionBody
  private scope: Scope
  private level = 0
  private hasLoops = false
  private activeLocals = 0

  constructor(source: string, chunkName: string) {
    this.lexer = new Lexer(source, chunkName)
    this.fn = this.newFunction(null, 0)
    this.fn.isVararg = true
    this.scope = { parent: null, names: new Map(), fn: this.fn, isLoop: false, localCount: 0 }
  }

  chunk(): Chunk {
    this.lexer.next()
    this.fn.body = this.block()
    if (this.lexer.kind !== Token.Eof) throw this.expected(Token.Eof)
    this.fn.endLine = this.lexer.line
    const { functions, variables, globals, hasLoops } = this
    return { main: this.fn, functions, variables, globals, hasLoops }
  }

  private newFunction(parent: FunctionBody | null, line: number): FunctionBody {
    const fn: FunctionBody = {
      params: [],
      parent,
      body: [],
      isVararg: false,
      usesVararg: false,
      arg: null,
      usesArg: false,
      calls: [],
      returns: [],
      localCount: 0,
      hasCapturedLocals: false,
      zero: null,
      isSingle: false,
      line,
      endLine: line,
    }
    this.functions.push(fn)
    return fn
  }

  // Tokens

  private expected(kind: number): LuaCompileError {
    return this.lexer.errorNear(`'${tokenName(kind)}' expected`)
  }

  private isAt(kind: number): boolean {
    return this.lexer.kind === kind
  }

  private accept(kind: number): boolean {
    if (this.lexer.kind !== kind) return false
    this.lexer.next()
    return true
  }

  private expect(kind: number): void {
    if (this.lexer.kind !== kind) throw this.expected(kind)
    this.lexer.next()
  }

  private expectClosing(kind: number, opening: number, line: number): void {
    if (this.lexer.kind === kind) {
      this.lexer.next()
      return
    }
    if (line === this.lexer.line) throw this.expected(kind)
    throw this.lexer.errorNear(`'${tokenName(kind)}' expected (to close '${tokenName(opening)}' at line ${line})`)
  }

  private name(): string {
    // Lua names the token kind here, not the text that should stand there.
    if (this.lexer.kind !== Token.Name) throw this.expected(Token.Name)
    const name = this.lexer.text
    this.lexer.next()
    return name
  }

  private enter(): void {
    if (++this.level > LEVELS_MAX) throw this.lexer.error('chunk has too many syntax levels', null)
  }

  // Scopes

  private open(isLoop: boolean): void {
    if (isLoop) this.hasLoops = true
    this.scope = { parent: this.scope, names: new Map(), fn: this.fn, isLoop, localCount: 0 }
  }

  private close(): void {
    this.activeLocals -= this.scope.localCount
    this.scope = this.scope.parent!
  }

  private isInLoop(): boolean {
    for (let scope: Scope | null = this.scope; scope !== null && scope.fn === this.fn; scope = scope.parent) {
      if (scope.isLoop) return true
    }
    return false
  }

  private newVariable(name: string, role: Variable['role'], init: Expression | null): Variable {
    const index = this.variables.length
    const variable: Variable = {
      name,
      index,
      // Its number, not its name: sources that differ in names only become the same text (see `sharesText`).
      js: `v${index}`,
      owner: this.fn,
      role,
      isInLoop: this.isInLoop(),
      isCaptured: false,
      isReassigned: false,
      init,
      assigned: [],
      type: '',
    }
    this.variables.push(variable)
    return variable
  }

  /** Makes a variable visible from here on. */
  private activate(variable: Variable): void {
    this.scope.names.set(variable.name, variable)
    this.scope.localCount++
    this.fn.localCount++
    if (++this.activeLocals > LOCALS_MAX) {
      const where = this.fn.parent === null ? 'main function' : `function at line ${this.fn.line}`
      throw this.lexer.error(`${where} has more than ${LOCALS_MAX} local variables`, null)
    }
  }

  private resolve(name: string): Expression {
    for (let scope: Scope | null = this.scope; scope !== null; scope = scope.parent) {
      const variable = scope.names.get(name)
      if (variable === undefined) continue
      if (variable === variable.owner.arg) variable.owner.usesArg = true
      if (variable.owner !== this.fn) {
        variable.isCaptured = true
        variable.owner.hasCapturedLocals = true
      }
      return { kind: 'variable', variable, user: this.fn, line: this.lexer.lastLine }
    }
    this.globals.add(name)
    return { kind: 'global', name, line: UNREAD, isMain: this.fn.parent === null }
  }

  // Statements

  private block(): Block {
    const statements: Statement[] = []
    for (;;) {
      switch (this.lexer.kind) {
        case Token.Eof:
        case Token.End:
        case Token.Else:
        case Token.Elseif:
        case Token.Until:
          return statements
        default:
      }
      this.enter()
      const statement = this.statement()
      this.level--
      statements.push(statement)
      this.accept(59)
      if (statement.kind === 'return' || statement.kind === 'break') return statements
    }
  }

  private scopedBlock(isLoop: boolean): Block {
    this.open(isLoop)
    const body = this.block()
    this.close()
    return body
  }

  private statement(): Statement {
    const line = this.lexer.line
    switch (this.lexer.kind) {
      case Token.If:
        return this.ifStatement(line)
      case Token.While: {
        this.lexer.next()
        const condition = this.readExpression()
        this.expect(Token.Do)
        const body = this.scopedBlock(true)
        this.expectClosing(Token.End, Token.While, line)
        return { kind: 'while', condition, body, line }
      }
      case Token.Do: {
        this.lexer.next()
        const body = this.scopedBlock(false)
        this.expectClosing(Token.End, Token.Do, line)
        return { kind: 'do', body, line }
      }
      case Token.For:
        return this.forStatement(line)
      case Token.Repeat: {
        this.lexer.next()
        this.open(true)
        const body = this.block()
        this.expectClosing(Token.Until, Token.Repeat, line)
        const condition = this.readExpression() // sees the locals of the body
        this.close()
        return { kind: 'repeat', body, condition, line }
      }
      case Token.Function:
        return this.functionStatement(line)
      case Token.Local:
        this.lexer.next()
        return this.accept(Token.Function) ? this.localFunction(line) : this.localStatement(line)
      case Token.Return:
        return this.returnStatement(line)
      case Token.Break:
        this.lexer.next()
        if (!this.isInLoop()) throw this.lexer.errorNear('no loop to break')
        return { kind: 'break', line }
      default:
        return this.expressionStatement(line)
    }
  }

  private ifStatement(line: number): Statement {
    const conditions: Expression[] = []
    const blocks: Block[] = []
    let otherwise: Block | null = null
    do {
      this.lexer.next()
      conditions.push(this.readExpression())
      this.expect(Token.Then)
      blocks.push(this.scopedBlock(false))
    } while (this.lexer.kind === Token.Elseif)
    if (this.accept(Token.Else)) otherwise = this.scopedBlock(false)
    this.expectClosing(Token.End, Token.If, line)
    return { kind: 'if', conditions, blocks, otherwise, line }
  }

  private forStatement(line: number): Statement {
    this.lexer.next()
    const first = this.name()
    switch (this.lexer.kind) {
      case EQUALS:
        return this.numericFor(first, line)
      case COMMA:
      case Token.In:
        return this.genericFor(first, line)
      default:
        throw this.lexer.errorNear("'=' or 'in' expected")
    }
  }

  private numericFor(name: string, line: number): Statement {
    this.lexer.next()
    const start = this.readExpression()
    this.expect(COMMA)
    const limit = this.readExpression()
    const step = this.accept(COMMA) ? this.readExpression() : null
    this.expect(Token.Do)
    const checkLine = this.lexer.lastLine
    this.open(true)
    const variable = this.newVariable(name, 'loop', null)
    variable.type = 'n'
    this.activate(variable)
    const body = this.block()
    this.close()
    this.expectClosing(Token.End, Token.For, line)
    return { kind: 'numericFor', variable, start, limit, step, body, line, checkLine }
  }

  private genericFor(first: string, line: number): Statement {
    const names = [first]
    while (this.accept(COMMA)) names.push(this.name())
    this.expect(Token.In)
    const callLine = this.lexer.line
    const values = this.readList()
    this.expect(Token.Do)
    this.open(true)
    const vars = names.map((name) => this.newVariable(name, 'loop', null))
    this.fn.calls.push(null)
    for (const variable of vars) this.activate(variable)
    const body = this.block()
    this.close()
    this.expectClosing(Token.End, Token.For, line)
    return { kind: 'genericFor', vars, values, body, line: callLine }
  }

  private functionStatement(line: number): Statement {
    this.lexer.next()
    let target = this.resolve(this.name())
    let isMethod = false
    while (this.lexer.kind === DOT || this.lexer.kind === COLON) {
      isMethod = this.lexer.kind === COLON
      this.read(target)
      this.lexer.next()
      target = { kind: 'index', object: target, key: { kind: 'string', value: this.name(), line }, line: UNREAD }
      if (isMethod) break
    }
    const fn = this.functionBody(isMethod, line)
    this.noteAssignment(target, fn)
    return { kind: 'assign', targets: [target], values: [fn], line, endLine: line }
  }

  private localFunction(line: number): Statement {
    const variable = this.newVariable(this.name(), 'function', null)
    this.activate(variable)
    const fn = this.functionBody(false, this.lexer.line)
    variable.init = fn
    return { kind: 'localFunction', variable, fn, line }
  }

  private localStatement(line: number): Statement {
    const names = [this.name()]
    while (this.accept(COMMA)) names.push(this.name())
    const values = this.accept(EQUALS) ? this.readList() : []
    const vars = names.map((name, i) => this.newVariable(name, 'local', firstValue(values, i, line)))
    for (const variable of vars) this.activate(variable)
    return { kind: 'local', vars, values, line }
  }

  private returnStatement(line: number): ReturnStatement {
    this.lexer.next()
    const kind = this.lexer.kind
    const isEmpty =
      kind === 59 ||
      kind === Token.Eof ||
      kind === Token.End ||
      kind === Token.Else ||
      kind === Token.Elseif ||
      kind === Token.Until
    const statement: ReturnStatement = { kind: 'return', values: isEmpty ? [] : this.readList(), line }
    this.fn.returns.push(statement)
    return statement
  }

  private expressionStatement(line: number): Statement {
    const first = this.suffixedExpression()
    if (first.kind === 'call' || first.kind === 'method') return { kind: 'call', call: first, line }
    const targets: Expression[] = [first]
    this.checkTarget(first)
    while (this.accept(COMMA)) {
      const target = this.suffixedExpression()
      this.checkTarget(target)
      targets.push(target)
    }
    this.expect(EQUALS)
    const values = this.readList()
    for (let i = 0; i < targets.length; i++) this.noteAssignment(targets[i]!, firstValue(values, i, line))
    return { kind: 'assign', targets, values, line, endLine: this.lexer.lastLine }
  }

  private checkTarget(target: Expression): void {
    if (target.kind !== 'variable' && target.kind !== 'global' && target.kind !== 'index') {
      throw this.lexer.errorNear('syntax error')
    }
  }

  private noteAssignment(target: Expression, value: Expression | null): void {
    if (target.kind !== 'variable') return
    target.variable.isReassigned = true
    target.variable.assigned.push(value)
  }

  // Expressions

  /**
   * Globals and fields are read when what follows them has been seen, so the line of that may be theirs: called where
   * lparser.c discharges an expression.
   */
  private read(e: Expression): void {
    if (e.kind === 'index' || e.kind === 'global') {
      if (e.line === UNREAD) e.line = this.lexer.lastLine
    } else if (e.kind === 'number' && e.value === 0) {
      this.fn.zero ??= e.value
      e.value = this.fn.zero
    }
  }

  private readExpression(): Expression {
    const e = this.expression()
    this.read(e)
    return e
  }

  private readList(): Expression[] {
    const list = this.expressionList()
    this.read(list.at(-1)!)
    return list
  }

  /** `registers`: how many are taken before the first value, besides those of locals. The caller reads the last one. */
  private expressionList(registers = 0): Expression[] {
    let last = this.expression()
    const list = [last]
    while (this.accept(COMMA)) {
      this.read(last)
      this.checkRegisters(registers + list.length)
      last = this.expression()
      list.push(last)
    }
    return list
  }

  private checkRegisters(count: number): void {
    if (this.activeLocals + count >= REGISTERS_MAX) throw this.lexer.errorNear('function or expression too complex')
  }

  private expression(limit = 0): Expression {
    this.enter()
    let left = this.unaryExpression()
    for (;;) {
      const priority = PRIORITY.get(this.lexer.kind)
      if (priority === undefined || priority[0] <= limit) break
      this.lexer.next()
      if (left.kind !== 'number') this.read(left)
      const right = this.expression(priority[1])
      left = this.joined(priority[2], left, right)
    }
    this.level--
    return left
  }

  /** An operation of two operands; texts that are joined are one text: V8 takes very long to compile many of them. */
  private joined(operator: string, left: Expression, right: Expression): Expression {
    const line = this.lexer.lastLine
    if (operator === '..' && left.kind === 'string' && right.kind === 'string') {
      return { kind: 'string', value: left.value + right.value, line }
    }
    if (left.kind === 'number' && right.kind === 'number') {
      const value = folded(operator, left.value, right.value)
      if (value !== null) return { kind: 'number', value, line }
    }
    this.read(right)
    this.read(left)
    return { kind: 'binary', operator, left, right, line }
  }

  private unaryExpression(): Expression {
    const kind = this.lexer.kind
    const operator = kind === Token.Not ? 'not' : kind === 45 ? '-' : kind === 35 ? '#' : null
    if (operator === null) return this.simpleExpression()
    this.lexer.next()
    const operand = this.expression(UNARY_PRIORITY)
    if (operator === '-' && operand.kind === 'number') return { ...operand, value: -operand.value }
    this.read(operand)
    return { kind: 'unary', operator, operand, line: this.lexer.lastLine }
  }

  private simpleExpression(): Expression {
    const lexer = this.lexer
    const line = lexer.line
    let result: Expression
    switch (lexer.kind) {
      case Token.Number:
        result = { kind: 'number', value: lexer.number, line }
        break
      case Token.String:
        result = { kind: 'string', value: lexer.text, line }
        break
      case Token.Nil:
        result = { kind: 'nil', line }
        break
      case Token.True:
        result = { kind: 'true', line }
        break
      case Token.False:
        result = { kind: 'false', line }
        break
      case Token.Dots:
        if (!this.fn.isVararg) throw lexer.errorNear("cannot use '...' outside a vararg function")
        this.fn.usesVararg = true
        result = { kind: 'vararg', line }
        break
      case OPEN_BRACE:
        return this.tableConstructor()
      case Token.Function:
        lexer.next()
        return this.functionBody(false, line)
      default:
        return this.suffixedExpression()
    }
    lexer.next()
    return result
  }

  private primaryExpression(): Expression {
    const line = this.lexer.line
    if (this.lexer.kind === OPEN_PAREN) {
      this.lexer.next()
      const inner = this.expression()
      this.expectClosing(CLOSE_PAREN, OPEN_PAREN, line)
      if (inner.kind === 'number') return inner
      this.read(inner)
      return { kind: 'paren', inner, line }
    }
    if (this.lexer.kind === Token.Name) return this.resolve(this.name())
    throw this.lexer.errorNear('unexpected symbol')
  }

  private suffixedExpression(): Expression {
    let expression = this.primaryExpression()
    for (;;) {
      switch (this.lexer.kind) {
        case DOT: {
          this.read(expression)
          this.lexer.next()
          const key: Expression = { kind: 'string', value: this.name(), line: this.lexer.lastLine }
          expression = { kind: 'index', object: expression, key, line: UNREAD }
          break
        }
        case OPEN_BRACKET: {
          this.read(expression)
          this.lexer.next()
          const key = this.readExpression()
          this.expect(CLOSE_BRACKET)
          expression = { kind: 'index', object: expression, key, line: UNREAD }
          break
        }
        case COLON: {
          this.lexer.next()
          const name = this.name()
          this.read(expression)
          expression = this.callArguments(expression, name)
          break
        }
        case OPEN_PAREN:
        case Token.String:
        case OPEN_BRACE:
          this.read(expression)
          expression = this.callArguments(expression, null)
          break
        default:
          return expression
      }
    }
  }

  private callArguments(callee: Expression, method: string | null): CallExpression | MethodExpression {
    const lexer = this.lexer
    const line = lexer.line
    const selfLine = lexer.lastLine
    let args: Expression[]
    switch (lexer.kind) {
      case OPEN_PAREN:
        if (line !== lexer.lastLine) throw lexer.errorNear('ambiguous syntax (function call x new statement)')
        lexer.next()
        args = this.isAt(CLOSE_PAREN) ? [] : this.expressionList(method === null ? 1 : 2)
        this.expectClosing(CLOSE_PAREN, OPEN_PAREN, line)
        if (args.length > 0) this.read(args.at(-1)!)
        if (args.length > 0 && !isMulti(args.at(-1)!)) this.checkRegisters(args.length + (method === null ? 1 : 2))
        break
      case OPEN_BRACE:
        args = [this.tableConstructor()]
        break
      case Token.String:
        args = [{ kind: 'string', value: lexer.text, line }]
        lexer.next()
        break
      default:
        throw lexer.errorNear('function arguments expected')
    }
    const call: CallExpression | MethodExpression =
      method === null
        ? { kind: 'call', callee, args, line }
        : { kind: 'method', object: callee, name: method, args, line, selfLine }
    this.fn.calls.push(call)
    return call
  }

  private tableConstructor(): Expression {
    const lexer = this.lexer
    const line = lexer.line
    this.expect(OPEN_BRACE)
    const items: TableItem[] = []
    let pending: Expression | null = null
    while (lexer.kind !== CLOSE_BRACE) {
      if (pending !== null) this.read(pending)
      const item = this.tableItem()
      pending = item.key === null ? item.value : null
      items.push(item)
      if (!this.accept(COMMA) && !this.accept(59)) break
    }
    this.expectClosing(CLOSE_BRACE, OPEN_BRACE, line)
    if (pending !== null) this.read(pending)
    return { kind: 'table', items, line }
  }

  private tableItem(): TableItem {
    const lexer = this.lexer
    if (lexer.kind === Token.Name && lexer.peek() === EQUALS) {
      const key: Expression = { kind: 'string', value: lexer.text, line: lexer.line }
      lexer.next()
      lexer.next()
      return this.keyedItem(key)
    }
    if (lexer.kind === OPEN_BRACKET) {
      lexer.next()
      const key = this.readExpression()
      this.expect(CLOSE_BRACKET)
      this.expect(EQUALS)
      return this.keyedItem(key)
    }
    return { key: null, value: this.expression(), line: this.lexer.lastLine }
  }

  private keyedItem(key: Expression): TableItem {
    return { key, value: this.readExpression(), line: this.lexer.lastLine }
  }

  private functionBody(hasSelf: boolean, line: number): FunctionExpression {
    const fn = this.newFunction(this.fn, line)
    const activeLocals = this.activeLocals
    this.activeLocals = 0
    this.fn = fn
    this.open(false)
    if (hasSelf) this.parameter('self')
    this.expect(OPEN_PAREN)
    if (this.lexer.kind !== CLOSE_PAREN) this.parameterList()
    this.expect(CLOSE_PAREN)
    fn.body = this.block()
    fn.endLine = this.lexer.line
    this.expectClosing(Token.End, Token.Function, line)
    this.close()
    this.fn = fn.parent!
    this.activeLocals = activeLocals
    return { kind: 'function', fn, line }
  }

  private parameterList(): void {
    do {
      if (this.lexer.kind === Token.Dots) {
        this.lexer.next()
        this.fn.isVararg = true
        this.fn.arg = this.newVariable('arg', 'loop', null)
        this.activate(this.fn.arg)
        return
      }
      if (this.lexer.kind !== Token.Name) throw this.lexer.errorNear("<name> or '...' expected")
      this.parameter(this.name())
    } while (this.accept(COMMA))
  }

  private parameter(name: string): void {
    const variable = this.newVariable(name, 'param', null)
    this.activate(variable)
    this.fn.params.push(variable)
  }
}

/** The line of a global or field before it is read. */
const UNREAD = 0

const COMMA = 44
const EQUALS = 61
const DOT = 46
const COLON = 58
const OPEN_PAREN = 40
const CLOSE_PAREN = 41
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/** What Lua's compiler makes of an operation of two constants, or null where it leaves it to the run (lcode.c constfolding). */
function folded(operator: string, a: number, b: number): number | null {
  let result: number
  switch (operator) {
    case '+':
      result = a + b
      break
    case '-':
      result = a - b
      break
    case '*':
      result = a * b
      break
    case '/':
      if (b === 0) return null
      result = a / b
      break
    case '%':
      if (b === 0) return null
      result = a - Math.floor(a / b) * b
      break
    case '^':
      result = $pn(a, b)
      break
    default:
      return null
  }
  return Number.isNaN(result) ? null : result
}

/** The expression whose (first) value variable `i` of a list gets, or null when a later result of a call fills it. */
function firstValue(values: readonly Expression[], i: number, line: number): Expression | null {
  const value = values[i]
  if (value !== undefined) return value
  const last = values.at(-1)
  return last !== undefined && isMulti(last) ? null : { kind: 'nil', line }
}

/** Whether an expression may give any number of values. */
export function isMulti(expression: Expression): boolean {
  return expression.kind === 'call' || expression.kind === 'method' || expression.kind === 'vararg'
}
