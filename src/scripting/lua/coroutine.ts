/**
 * Coroutines, by JavaScript generators. Only scripts that mention them are compiled in coroutine mode, where a Lua
 * function is a plain function that runs to its end, and has a generator function beside it for callers that can yield.
 */
import { callValue, caughtValue, currentHostCalls, listOf, restoreHostCalls } from './call.ts'
import { positionPrefix } from './position.ts'
import { LuaTable } from './table.ts'
import {
  argumentError,
  hostError,
  LuaError,
  type LuaFunction,
  type LuaResult,
  LuaThread,
  type LuaValue,
  libError,
  typeName,
} from './value.ts'

type Run = Generator<readonly LuaValue[], LuaResult, readonly LuaValue[]>
type LuaGenerator = (...args: LuaValue[]) => Run

const generators = new WeakMap<LuaFunction, LuaGenerator>()

let current: Coroutine | null = null

/** Makes a Lua function of a compiled generator function. */
export function $mk(generator: LuaGenerator): LuaFunction {
  const fn: LuaFunction = (...args) => {
    const step = generator(...args).next()
    if (step.done !== true) throw yieldRefused()
    return step.value
  }
  generators.set(fn, generator)
  return fn
}

/** A call from compiled code in coroutine mode. */
export function* $gc(value: LuaValue, _description: string, args: LuaValue[]): Run {
  if (value === coroutineYield) {
    if (current === null) throw yieldRefused()
    const received = yield args
    return received.length === 1 ? received[0] : received
  }
  const generator = typeof value === 'function' ? generators.get(value) : undefined
  if (generator !== undefined) return yield* generator(...args)
  if (typeof value === 'function') return value(...args)
  if (value instanceof LuaTable && value.meta !== null) return callValue(value, ...args)
  throw callError(value, _description)
}

const KIND_NAMES: Readonly<Record<string, string>> = { l: 'local', u: 'upvalue', g: 'global', f: 'field', m: 'method' }

function callError(value: LuaValue, description: string): LuaError {
  if (description === '') return libError(`attempt to call a ${typeName(value)} value`)
  return libError(
    `attempt to call ${KIND_NAMES[description[0]!]} '${description.slice(1)}' (a ${typeName(value)} value)`,
  )
}

function yieldRefused(): LuaError {
  return hostError('attempt to yield across metamethod/C-call boundary')
}

class Coroutine extends LuaThread {
  private run: Run | null = null
  private state: 'suspended' | 'running' | 'normal' | 'dead' = 'suspended'
  private readonly body: LuaFunction

  constructor(body: LuaFunction) {
    super()
    this.body = body
  }

  override status(): string {
    return this.state
  }

  /** Runs to the next yield or the end and returns what was yielded or returned. */
  resume(args: readonly LuaValue[]): readonly LuaValue[] {
    if (this.state === 'dead') throw new LuaError('cannot resume dead coroutine')
    if (this.state !== 'suspended') throw new LuaError('cannot resume non-suspended coroutine')
    const resumer = current
    if (resumer !== null) resumer.state = 'normal'
    current = this
    this.state = 'running'
    const hostCalls = currentHostCalls()
    try {
      const step = this.step(args)
      this.state = step.done === true ? 'dead' : 'suspended'
      return listOf(step.value)
    } catch (error) {
      this.state = 'dead'
      restoreHostCalls(hostCalls)
      throw error
    } finally {
      current = resumer
      if (resumer !== null) resumer.state = 'running'
    }
  }

  private step(args: readonly LuaValue[]): IteratorResult<LuaResult, LuaResult> {
    if (this.run !== null) return this.run.next(args)
    const generator = generators.get(this.body)
    if (generator === undefined) return { done: true, value: this.body(...args) }
    this.run = generator(...args)
    return this.run.next([])
  }
}

export function coroutineYield(): LuaResult {
  throw yieldRefused()
}

function create(body: LuaValue): Coroutine {
  if (typeof body !== 'function') throw argumentError(1, 'create', 'Lua function expected')
  return new Coroutine(body)
}

function threadArgument(value: LuaValue, functionName: string): Coroutine {
  if (value instanceof Coroutine) return value
  throw argumentError(1, functionName, 'coroutine expected')
}

function resume(co: LuaValue, ...args: LuaValue[]): LuaResult {
  const thread = threadArgument(co, 'resume')
  try {
    return [true, ...thread.resume(args)]
  } catch (error) {
    return [false, caughtValue(error)]
  }
}

function wrap(body: LuaValue): LuaFunction {
  const thread = create(body)
  return (...args) => {
    try {
      const results = thread.resume(args)
      return results.length === 1 ? results[0] : results
    } catch (error) {
      const value = caughtValue(error)
      const { prefix, line } = positionPrefix()
      throw new LuaError(typeof value === 'string' ? prefix + value : value, line)
    }
  }
}

/** The `coroutine` library. */
export function createCoroutineLib(): LuaTable {
  return new LuaTable()
    .init('create', create)
    .init('resume', resume)
    .init('running', () => (current === null ? undefined : current))
    .init('status', (co) => threadArgument(co, 'status').status())
    .init('wrap', wrap)
    .init('yield', coroutineYield)
}
