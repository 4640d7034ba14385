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

export interface ScriptPosition {
  /** `user_script:3: `, or empty when the raising function was not called by Lua code. */
  readonly prefix: string
  /** The script line, or 0 when unknown. */
  readonly line: number
  /** Whether a protected call stands between the library function and the Lua code. */
  readonly isHidden: boolean
}

const NOWHERE: ScriptPosition = { prefix: '', line: 0, isHidden: false }

/** The chunk that is walked, and its line: where `WALKER` is on the stack, that is the frame of the chunk (see `walk.ts`). */
export const walking = { chunkName: '', line: 0 }
const WALKER = 'walkScript'

/** Host functions that call Lua functions in protected mode: a library function below them has no Lua caller. */
const PROTECTED_CALLERS = new Set(['luaPcall', 'luaXpcall'])

/**
 * The position of the Lua frame `level` calls up (1 = the innermost). The prefix is empty when a protected call stands
 * between it and the caller, as `luaL_where` finds a C function there.
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
      return { prefix: isHidden ? '' : `${chunkName}:${line}: `, line, isHidden }
    }
    if (PROTECTED_CALLERS.has(name)) {
      // For deeper levels the protected caller itself is a level, and it has no position.
      if (remaining === level) isHidden = true
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
