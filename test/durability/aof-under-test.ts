/**
 * An append-only log without a server, for tests of its steps: data are keys with texts, a base file is written when the
 * test says so, and what the thread pool does is done when the test says so.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, type ConfigOptions, configFromOptions } from '../../src/config/config.ts'
import { type FileDone, Files } from '../../src/files/files.ts'
import { AppendOnly, type BaseFormat, type BaseWriter } from '../../src/persistence/append-only.ts'
import { Journal } from '../../src/persistence/journal.ts'
import { filesToLoad, logPath, readManifest } from '../../src/persistence/manifest.ts'
import { Arena } from '../../src/storage/arena.ts'
import { TestLog } from '../support/broker.ts'

/** Whether the step at which the process ends, or which fails, is still done. */
export const Fault = { Before: 0, After: 1, Error: 2 } as const

/** The process is gone: nothing more is done. */
export class Crash extends Error {}

/**
 * Files whose operations are counted; one of them can be the last of the process, or fail. Nothing is synced: what ends is
 * the process, not the machine, and a test has some thousand syncs.
 */
export class SteppedFiles extends Files {
  readonly steps: string[] = []
  private readonly faultAt: number
  private readonly fault: number
  private isDead: boolean = false
  private readonly later: (() => void)[] = []

  constructor(faultAt = -1, fault: number = Fault.Before) {
    super()
    this.faultAt = faultAt
    this.fault = fault
  }

  /** Lets the thread pool do what it has to, and what follows from that. */
  settle(): void {
    for (let next = this.later.shift(); next !== undefined; next = this.later.shift()) next()
  }

  /** As `settle`, for one thing that the thread pool has to do. */
  settleOne(): void {
    this.later.shift()?.()
  }

  override open(path: string, flags: string, mode: number): number {
    return this.step('open', () => super.open(path, flags, mode))
  }

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    return this.step('write', () => super.write(fd, buffer, start, length, offset))
  }

  override writeLater(
    fd: number,
    buffer: Buffer,
    start: number,
    length: number,
    offset: number,
    done: (error: Error | null, written: number) => void,
  ): void {
    this.later.push(() => {
      const outcome = this.attempt(() => this.write(fd, buffer, start, length, offset))
      done(outcome.error, outcome.value ?? 0)
    })
  }

  override sync(_fd: number): void {
    this.step('sync', () => {})
  }

  override syncLater(fd: number, done: FileDone): void {
    this.later.push(() => done(this.attempt(() => this.sync(fd)).error))
  }

  override syncContent(_fd: number): void {
    this.step('syncContent', () => {})
  }

  override syncContentLater(fd: number, done: FileDone): void {
    this.later.push(() => done(this.attempt(() => this.syncContent(fd)).error))
  }

  override rename(from: string, to: string): void {
    this.step('rename', () => super.rename(from, to))
  }

  override remove(path: string): void {
    this.step('remove', () => super.remove(path))
  }

  override removeLater(path: string, done: FileDone): void {
    this.later.push(() => done(this.attempt(() => this.remove(path)).error))
  }

  override createDirectory(path: string): void {
    this.step('createDirectory', () => super.createDirectory(path))
  }

  override syncDirectory(_path: string): void {
    this.step('syncDirectory', () => {})
  }

  override syncDirectoryLater(path: string, done: FileDone): void {
    this.later.push(() => done(this.attempt(() => this.syncDirectory(path)).error))
  }

  private step<T>(name: string, action: () => T): T {
    if (this.isDead) throw new Crash()
    const isFaulty = this.steps.length === this.faultAt
    this.steps.push(name)
    if (!isFaulty) return action()
    if (this.fault === Fault.Error) throw Object.assign(new Error(`EIO: i/o error, ${name}`), { code: 'EIO' })
    this.isDead = true
    if (this.fault === Fault.After) action()
    throw new Crash()
  }

  private attempt<T>(action: () => T): { error: Error | null; value: T | null } {
    try {
      return { error: null, value: action() }
    } catch (error) {
      return { error: error as Error, value: null }
    }
  }
}

/** Writes the data as they were when it was asked to, when `finish` is called. */
export class FakeBaseWriter implements BaseWriter {
  isActive: boolean = false
  /** Formats that were asked for. */
  readonly formats: BaseFormat[] = []
  private readonly data: ReadonlyMap<string, string>
  private content = ''
  private path = ''
  private done: (error: Error | null) => void = () => {}

  constructor(data: ReadonlyMap<string, string>) {
    this.data = data
  }

  begin(path: string, format: BaseFormat, done: (error: Error | null) => void): void {
    this.isActive = true
    this.formats.push(format)
    this.content = [...this.data].map(([key, value]) => command('SET', key, value)).join('')
    this.path = path
    this.done = done
  }

  finish(error: Error | null = null): void {
    if (!this.isActive) return
    this.isActive = false
    if (error === null) writeFileSync(this.path, this.content)
    this.done(error)
  }

  abort(): void {
    this.isActive = false
    this.done(new Error('aborted'))
  }

  writeNow(path: string): void {
    writeFileSync(path, [...this.data].map(([key, value]) => command('SET', key, value)).join(''))
  }
}

export class LogUnderTest {
  readonly data = new Map<string, string>()
  readonly base = new FakeBaseWriter(this.data)
  readonly journal = new Journal(new Arena())
  readonly log = new TestLog()
  readonly config: Config
  readonly appendOnly: AppendOnly
  nowMs = 1_700_000_000_000
  progress = 0

  constructor(directory: string, files: Files, options: ConfigOptions = {}) {
    this.config = configFromOptions({ dir: directory, 'auto-aof-rewrite-percentage': 0, ...options })
    this.appendOnly = new AppendOnly({
      isInMemory: false,
      config: this.config,
      log: this.log,
      files,
      journal: this.journal,
      base: this.base,
      now: () => this.nowMs,
      onChange: () => {},
      onProgress: () => {
        this.progress++
      },
    })
  }

  /** As a broker does at its start. */
  open(): void {
    this.appendOnly.lock()
    this.appendOnly.folder.takeOver()
    this.appendOnly.open(null)
  }

  /** Executes a write; it is in the journal. */
  set(key: string, value: string): void {
    this.data.set(key, value)
    this.journal.begin(0, 3)
    for (const text of ['SET', key, value]) this.journal.text(text)
  }

  /** The end of a turn. */
  endTurn(): void {
    this.journal.drain()
  }
}

export function command(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}

/** What the log in a directory holds. Each file must be whole. */
export function loadedFrom(directory: string): Map<string, string> {
  const folder = join(directory, 'appendonlydir')
  const data = new Map<string, string>()
  const manifest = readManifest(join(folder, 'appendonly.aof.manifest'))
  for (const { name } of manifest === null ? [] : filesToLoad(manifest)) {
    const path = logPath(folder, name)
    if (!existsSync(path)) throw new Error(`${name} is missing`)
    replay(readFileSync(path, 'latin1'), data)
  }
  return data
}

function replay(text: string, data: Map<string, string>): void {
  const lines = text.split('\r\n')
  if (lines.pop() !== '') throw new Error('a torn file')
  let at = 0
  while (at < lines.length) {
    const line = lines[at++]!
    if (line.startsWith('#')) continue
    const count = Number(line.slice(1))
    const words: string[] = []
    for (let i = 0; i < count; i++) {
      words.push(lines[at + 1]!)
      at += 2
    }
    if (words[0] === 'SET') data.set(words[1]!, words[2]!)
  }
}
