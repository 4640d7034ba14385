/**
 * Where in a script an error was raised, read from the JavaScript stack. Cold: only runs when an error is raised.
 *
 * Compiled chunks keep line numbers (JavaScript line = Lua line + a fixed offset) and carry a source URL
 * `lua:<serial>:<chunk name, URL-encoded>`, so a V8 call site tells the chunk and the line, which costs nothing until it is asked.
 * A chunk that is walked instead says itself where it is.
 */

/** What every compiled chunk's source URL starts with. */
export const SOURCE_PREFIX = 'lua:'
/** Lines that `new Function` puts in front of a body. */
export const LINE_OFFSET = 2

/** Frames looked at first; a library that recurses deeper than this is searched again without limit. */
const FRAMES_USUAL = 40

/** The line of what is no Lua code, as Lua has it. */
export const LINE_OF_C = -1

export interface ScriptPosition {
  /** `user_script:3: `, or empty when the raising function was not called by Lua code. */
  readonly prefix: string
  /** The script line, 0 when unknown, or `LINE_OF_C` when another library function is the caller. */
  readonly line: number
  /** The script line, or 0 when unknown. */
  readonly scriptLine: number
  /** Whether another library function stands between the library function and the Lua code. */
  readonly isHidden: boolean
  /** How the Lua code calls the library function, as `operandName` writes it; null: by the name that it has. */
  calledAs(): string | null
}

const NOWHERE: ScriptPosition = { prefix: '', line: 0, scriptLine: 0, isHidden: false, calledAs: () => null }

/** The chunk that is walked, and its line: where `WALKER` is on the stack, that is the frame of the chunk (see `walk.ts`). */
export const walking = { chunkName: '', line: 0, called: '' }
const WALKER = 'walkScript'

/** Functions that library functions call others through: what these call has no Lua caller. */
const HOST_CALLERS = new Set(['callValue', 'luaCallback'])
/** Lua code that calls a metamethod does so without a name. */
const METAMETHOD_CALLER = 'callMetamethod'
const ITERATOR_CALLER = '$it'

/** Compiled chunks by the number in their source URL, as long as they are there. */
const chunks = new Map<number, WeakRef<object>>()
const forgetter = new FinalizationRegistry<number>((serial) => chunks.delete(serial))

/** Notes a compiled chunk, whose text tells how it calls a library function when that raises an error. */
export function rememberChunk(serial: number, run: object): void {
  chunks.set(serial, new WeakRef(run))
  forgetter.register(run, serial)
}

// How calls stand in the text: `/*lalias*/$c0(…)`, `(…$mt(v0,"method",…))(…)`, `(…$cl(v0,"lname"))(…)`.
const ALIAS = /\/\*(\w+)\*\/$/
const METHOD = /\$mt\([^,]+,"(\w+)","[^"]*"\)\)?$/
const OTHER = /\$cl\([^,]+,"((?:[^"\\]|\\.)*)"\)\)$/

function describeCall(site: NodeJS.CallSite, url: string): string | null {
  const serial = Number(url.slice(SOURCE_PREFIX.length, url.indexOf(':', SOURCE_PREFIX.length)))
  const text = String(chunks.get(serial)?.deref() ?? '')
  let lineStart = 0
  for (let line = site.getLineNumber() ?? 1; line > 1; line--) lineStart = text.indexOf('\n', lineStart) + 1
  const at = lineStart + (site.getColumnNumber() ?? 1) - 1
  const before = text.slice(0, at).trimEnd()
  if (text[at] !== '(') return ALIAS.exec(before)?.[1] ?? null
  const method = METHOD.exec(before)
  return method === null ? (OTHER.exec(before)?.[1] ?? null) : `m${method[1]}`
}

/**
 * The position of the Lua frame `level` calls up (1 = the innermost). The prefix is empty when a library function
 * stands between it and the caller, as `luaL_where` finds a C function there.
 */
export function positionPrefix(level = 1): ScriptPosition {
  return (
    findPosition(captureSites(FRAMES_USUAL), level) ??
    findPosition(captureSites(Number.POSITIVE_INFINITY), level) ??
    NOWHERE
  )
}

function findPosition(sites: readonly NodeJS.CallSite[], level: number): ScriptPosition | null {
  let remaining = level
  let isHidden = false
  let called: string | null = null
  for (const site of sites) {
    const name = site.getFunctionName() ?? ''
    const source = site.getScriptNameOrSourceURL()
    const isCompiled = source?.startsWith(SOURCE_PREFIX) === true
    if (isCompiled || name === WALKER) {
      if (--remaining > 0) {
        isHidden = false
        continue
      }
      const line = isCompiled ? (site.getLineNumber() ?? LINE_OFFSET) - LINE_OFFSET : walking.line
      const chunkName = isCompiled
        ? decodeURIComponent(source.slice(source.indexOf(':', SOURCE_PREFIX.length) + 1))
        : walking.chunkName
      const calledAs = (): string | null => called ?? (isCompiled ? describeCall(site, source) : walking.called)
      if (isHidden) return { prefix: '', line: LINE_OF_C, scriptLine: line, isHidden, calledAs }
      return { prefix: `${chunkName}:${line}: `, line, scriptLine: line, isHidden, calledAs }
    }
    if (name === METAMETHOD_CALLER) called = ''
    else if (name === ITERATOR_CALLER) called = 'l(for generator)'
    if (HOST_CALLERS.has(name)) {
      // For deeper levels the library function itself is a level, and it has no position.
      if (level === 1) isHidden = true
      else if (--remaining <= 0) return NOWHERE
    }
  }
  return null
}

function captureSites(limit: number): readonly NodeJS.CallSite[] {
  const limitBefore = Error.stackTraceLimit
  const formatBefore = Error.prepareStackTrace
  Error.stackTraceLimit = limit
  Error.prepareStackTrace = (_error, sites) => sites
  const holder: { stack?: unknown } = {}
  Error.captureStackTrace(holder, positionPrefix)
  const sites = holder.stack
  Error.stackTraceLimit = limitBefore
  Error.prepareStackTrace = formatBefore
  return Array.isArray(sites) ? sites : []
}
