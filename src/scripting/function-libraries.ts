/**
 * The libraries of functions of a server, and their functions by name. Snapshots write `sources()` and load them again.
 *
 * Names of libraries are told apart by case, names of functions are not, except within a library: as in Redis.
 * Nothing changes when something is refused. Source: Redis src/functions.c `functionsCreateWithLibraryCtx`, `libraryJoin`.
 */
import { ENGINE_NAME, FunctionEngine } from './function-engine.ts'
import {
  checkName,
  FunctionError,
  type FunctionLibrary,
  type LibraryFunction,
  parseLibraryHeader,
} from './function-library.ts'
import type { EngineHost } from './script-engine.ts'

/** How long the code of a library may run when a client loads it, in ms. */
export const LOAD_MS_MAX = 500

/** What happens when there is a library of the same name. */
export const LoadMode = { Refuse: 0, Replace: 1 } as const
export type LoadMode = (typeof LoadMode)[keyof typeof LoadMode]

/** What happens with libraries that are there when others are restored. */
export const RestoreMode = { Flush: 0, Append: 1, Replace: 2 } as const
export type RestoreMode = (typeof RestoreMode)[keyof typeof RestoreMode]

/** A function with the library it belongs to. */
export interface FoundFunction {
  readonly library: FunctionLibrary
  readonly fn: LibraryFunction
}

/** Libraries by name, and the index of their functions. */
class LibrarySet {
  readonly libraries = new Map<string, FunctionLibrary>()
  readonly functions = new Map<string, FoundFunction>()

  link(library: FunctionLibrary): void {
    this.libraries.set(library.name, library)
    for (const fn of library.functions.values()) {
      const key = fn.name.toLowerCase()
      // Two names of a library may differ in case only; the first one is found then.
      if (!this.functions.has(key)) this.functions.set(key, { library, fn })
    }
  }

  unlink(library: FunctionLibrary): void {
    this.libraries.delete(library.name)
    for (const name of library.functions.keys()) this.functions.delete(name.toLowerCase())
  }

  /** @throws FunctionError when there is a function of the same name in a library that is not replaced. */
  checkFunctions(library: FunctionLibrary, isReplaced: (library: FunctionLibrary) => boolean): void {
    for (const name of library.functions.keys()) {
      const found = this.functions.get(name.toLowerCase())
      if (found !== undefined && !isReplaced(found.library)) throw new FunctionError(`Function ${name} already exists`)
    }
  }
}

export class FunctionLibraries {
  private readonly host: EngineHost
  private set = new LibrarySet()
  /** Made when it is first needed. */
  private engine: FunctionEngine | null = null
  private sourceBytes = 0

  constructor(host: EngineHost) {
    this.host = host
  }

  /** Number of libraries. */
  get size(): number {
    return this.set.libraries.size
  }

  /** Number of functions that can be called. */
  get functionCount(): number {
    return this.set.functions.size
  }

  /** Bytes of source text held. */
  get memoryBytes(): number {
    return this.sourceBytes
  }

  /** All libraries, in the order in which they were loaded. */
  all(): Iterable<FunctionLibrary> {
    return this.set.libraries.values()
  }

  /** The source of each library as a byte string, in the order in which they were loaded. */
  sources(): string[] {
    return Array.from(this.set.libraries.values(), (library) => library.source)
  }

  /** A function by its name, or null. */
  find(name: string): FoundFunction | null {
    return this.set.functions.get(name.toLowerCase()) ?? null
  }

  /** Loads a library from a file, which may take its time. Returns the error's text after `ERR `, or null. */
  load(source: string, mode: LoadMode): string | null {
    try {
      this.add(source, mode, 0)
      return null
    } catch (error) {
      if (error instanceof FunctionError) return error.message
      throw error
    }
  }

  /** Loads a library; `limitMs` is how long its code may run, 0: as long as it likes. @throws FunctionError */
  add(source: string, mode: LoadMode, limitMs: number): FunctionLibrary {
    return this.addTo(this.set, source, mode, limitMs)
  }

  /** Loads libraries, all or none. `limitMs` is for each of them. @throws FunctionError */
  restore(sources: Iterable<string>, mode: RestoreMode, limitMs: number): void {
    const restored = new LibrarySet()
    for (const source of sources) this.addTo(restored, source, LoadMode.Refuse, limitMs)
    if (mode === RestoreMode.Flush) this.set = restored
    else this.join(restored, mode)
    this.countBytes()
  }

  /** Removes a library. Returns whether there was one. */
  delete(name: string): boolean {
    const library = this.set.libraries.get(name)
    if (library === undefined) return false
    this.set.unlink(library)
    this.countBytes()
    return true
  }

  /** Removes all libraries. */
  clear(): void {
    this.set = new LibrarySet()
    this.sourceBytes = 0
  }

  /** The engine that runs functions. */
  get runner(): FunctionEngine {
    this.engine ??= new FunctionEngine(this.host)
    return this.engine
  }

  private addTo(set: LibrarySet, source: string, mode: LoadMode, limitMs: number): FunctionLibrary {
    const { engine, name, body } = parseLibraryHeader(source)
    checkName(name)
    if (engine.toUpperCase() !== ENGINE_NAME) throw new FunctionError(`Engine '${engine}' not found`)
    const old = set.libraries.get(name)
    if (old !== undefined && mode === LoadMode.Refuse) throw new FunctionError(`Library '${name}' already exists`)
    const library = this.runner.load(name, source, body, limitMs)
    set.checkFunctions(library, (other) => other === old)
    if (old !== undefined) set.unlink(old)
    set.link(library)
    this.countBytes()
    return library
  }

  private join(restored: LibrarySet, mode: RestoreMode): void {
    const replaced = new Set<FunctionLibrary>()
    for (const name of restored.libraries.keys()) {
      const old = this.set.libraries.get(name)
      if (old === undefined) continue
      if (mode !== RestoreMode.Replace) throw new FunctionError(`Library ${name} already exists`)
      replaced.add(old)
    }
    for (const library of restored.libraries.values()) this.set.checkFunctions(library, (old) => replaced.has(old))
    for (const library of replaced) this.set.unlink(library)
    for (const library of restored.libraries.values()) this.set.link(library)
  }

  private countBytes(): void {
    this.sourceBytes = 0
    for (const library of this.set.libraries.values()) this.sourceBytes += library.source.length
  }
}
