/**
 * The syntax tree of a Lua chunk, with names already resolved to variables. Built by `parser.ts`, typed by
 * `analysis.ts`, turned into JavaScript by `generator.ts`.
 *
 * Binary operators are written as in Lua. `line` is the line an error of that operation is reported at: that of the token
 * that Lua's compiler had read last when it emitted the operation.
 */

/** Statically known type of an expression: a letter per Lua type, '' when unknown. */
export type StaticType = '' | 'n' | 's' | 'b' | 't' | 'f' | 'nil'

/** A local variable or parameter. */
export interface Variable {
  readonly name: string
  /** Its number, unique in the chunk. */
  readonly index: number
  /** Its JavaScript name, made of its number. */
  readonly js: string
  readonly owner: FunctionBody
  readonly role: 'local' | 'param' | 'loop' | 'function'
  /** Whether it is declared inside a loop of its function: captured variables must then be fresh in each round. */
  readonly isInLoop: boolean
  isCaptured: boolean
  isReassigned: boolean
  /** The only initialiser when there is exactly one known; null when the first value is unknown. */
  init: Expression | null
  /** Values assigned later; null stands for an unknown one. */
  assigned: (Expression | null)[]
  type: StaticType
}

export interface FunctionBody {
  readonly params: Variable[]
  readonly parent: FunctionBody | null
  body: Block
  isVararg: boolean
  usesVararg: boolean
  /** The implicit local `arg` of a vararg function (LUA_COMPAT_VARARG). */
  arg: Variable | null
  usesArg: boolean
  /** All calls in it; null stands for the iterator of a generic `for`. */
  calls: (CallExpression | MethodExpression | null)[]
  returns: ReturnStatement[]
  localCount: number
  hasCapturedLocals: boolean
  /** The first constant that is 0 or -0, or null. */
  zero: number | null
  /** Set by the analysis: every return gives exactly one value and the end is not reached. */
  isSingle: boolean
  line: number
  endLine: number
}

export type Block = readonly Statement[]

export interface ReturnStatement {
  readonly kind: 'return'
  readonly values: readonly Expression[]
  readonly line: number
}

export type Statement =
  | {
      readonly kind: 'local'
      readonly vars: readonly Variable[]
      readonly values: readonly Expression[]
      readonly line: number
    }
  | {
      readonly kind: 'assign'
      readonly targets: readonly Expression[]
      readonly values: readonly Expression[]
      readonly line: number
      readonly endLine: number
    }
  | { readonly kind: 'call'; readonly call: CallExpression | MethodExpression; readonly line: number }
  | { readonly kind: 'do'; readonly body: Block; readonly line: number }
  | { readonly kind: 'while'; readonly condition: Expression; readonly body: Block; readonly line: number }
  | { readonly kind: 'repeat'; readonly body: Block; readonly condition: Expression; readonly line: number }
  | {
      readonly kind: 'if'
      readonly conditions: readonly Expression[]
      readonly blocks: readonly Block[]
      readonly otherwise: Block | null
      readonly line: number
    }
  | {
      readonly kind: 'numericFor'
      readonly variable: Variable
      readonly start: Expression
      readonly limit: Expression
      readonly step: Expression | null
      readonly body: Block
      readonly line: number
      /** The line at which the values are found to be no numbers. */
      readonly checkLine: number
    }
  | {
      readonly kind: 'genericFor'
      readonly vars: readonly Variable[]
      readonly values: readonly Expression[]
      readonly body: Block
      readonly line: number
    }
  | {
      readonly kind: 'localFunction'
      readonly variable: Variable
      readonly fn: FunctionExpression
      readonly line: number
    }
  | ReturnStatement
  | { readonly kind: 'break'; readonly line: number }

export interface FunctionExpression {
  readonly kind: 'function'
  readonly fn: FunctionBody
  readonly line: number
}

export interface CallExpression {
  readonly kind: 'call'
  readonly callee: Expression
  readonly args: readonly Expression[]
  readonly line: number
}

export interface MethodExpression {
  readonly kind: 'method'
  readonly object: Expression
  readonly name: string
  readonly args: readonly Expression[]
  readonly line: number
  /** The line at which the method is looked up. */
  readonly selfLine: number
}

export interface BinaryExpression {
  readonly kind: 'binary'
  readonly operator: string
  readonly left: Expression
  readonly right: Expression
  readonly line: number
}

/** One item of a table constructor: a positional one has no key. */
export interface TableItem {
  readonly key: Expression | null
  readonly value: Expression
  /** The line at which a value with a key is stored. */
  readonly line: number
}

export type Expression =
  | { readonly kind: 'nil' | 'true' | 'false' | 'vararg'; readonly line: number }
  /** A zero takes the sign that the first one of the function has, as constants of a function that are equal are one. */
  | { readonly kind: 'number'; value: number; readonly line: number }
  | { readonly kind: 'string'; readonly value: string; readonly line: number }
  | { readonly kind: 'variable'; readonly variable: Variable; readonly user: FunctionBody; readonly line: number }
  /** `isMain`: it stands in the chunk itself, not in a function of it. Its line is known when it is read. */
  | { readonly kind: 'global'; readonly name: string; line: number; readonly isMain: boolean }
  /** Its line is known when it is read, see `Parser.read`; what is only assigned to has none. */
  | { readonly kind: 'index'; readonly object: Expression; readonly key: Expression; line: number }
  | { readonly kind: 'unary'; readonly operator: string; readonly operand: Expression; readonly line: number }
  | { readonly kind: 'paren'; readonly inner: Expression; readonly line: number }
  | { readonly kind: 'table'; readonly items: readonly TableItem[]; readonly line: number }
  | FunctionExpression
  | CallExpression
  | MethodExpression
  | BinaryExpression

/** What the parser hands on. */
export interface Chunk {
  readonly main: FunctionBody
  readonly functions: readonly FunctionBody[]
  readonly variables: readonly Variable[]
  /** Names of all globals that are read or written. */
  readonly globals: ReadonlySet<string>
  readonly hasLoops: boolean
}
