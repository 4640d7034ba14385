/** Runs programs in a script engine and says what must not happen: a crash, a hang, a way out of the sandbox. */
import { ScriptAborted } from '../../../src/scripting/lua/value.ts'
import { LocalEval } from '../resp-eval.ts'

/** Ticks that a program may run; each is some thousand steps. */
const TICKS_MAX = 10
/** CPU time that a program may take: library functions are not interrupted, so ticks alone do not end it. */
const HANG_MS = 6000
/** What exceptions and objects of JavaScript say. No program contains these texts. */
const HOST_TEXT =
  /is not a function|is not defined|is not iterable|is not a constructor|Cannot (?:read|set|access|convert|assign)|(?:Range|Type|Reference|Syntax|Eval)Error|\[object |\[native code|Invalid (?:array|string) length|Maximum call stack|Unexpected (?:token|identifier|end)|missing \) after|internal error|node:|\bfile:\/\//

/** What a program could have changed if it came out. */
const WATCHED: readonly object[] = [
  ...[globalThis, Object.prototype, Function.prototype, Array.prototype, String.prototype, Number.prototype],
  ...[Map.prototype, RegExp.prototype, Error, Math, JSON, process, Reflect, Promise.prototype],
]

export class Fuzzer {
  private local = new LocalEval()
  private ran = 0
  private readonly shapes = WATCHED.map(shapeOf)

  /** What was wrong with running a program, or null. It is run twice: the second time it is compiled in another way. */
  run(source: string): string | null {
    // A fresh engine now and then: programs can change options of cjson.
    if (this.ran++ % 5000 === 0) this.local = new LocalEval()
    return this.runOnce(source) ?? this.runOnce(source)
  }

  private runOnce(source: string): string | null {
    let ticks = 0
    this.local.host.tick = () => {
      if (++ticks > TICKS_MAX) throw new ScriptAborted('ERR Script killed by user with SCRIPT KILL...')
      return 2000
    }
    const start = process.cpuUsage()
    let reply: string
    try {
      reply = this.local.run(source)
    } catch (error) {
      return `threw ${error instanceof Error ? error.stack : String(error)}`
    }
    const { user, system } = process.cpuUsage(start)
    const elapsedMs = (user + system) / 1000
    if (elapsedMs > HANG_MS) return `took ${Math.round(elapsedMs)} ms`
    const host = HOST_TEXT.exec(reply)
    if (host !== null) return `replied ${host[0]}: ${reply.slice(0, 300)}`
    const changed = WATCHED.findIndex((object, i) => shapeOf(object) !== this.shapes[i])
    return changed < 0 ? null : `changed object ${changed}`
  }
}

function shapeOf(object: object): string {
  return Reflect.ownKeys(object).map(String).join()
}
