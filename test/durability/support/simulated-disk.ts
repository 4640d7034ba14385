/**
 * What of a directory is durable, at worst: the content that files had when they were synced, under the names that
 * directories had when those were synced. Files that were there in the beginning are durable.
 *
 * A file keeps its identity when it is renamed; what is durable belongs to the file, the name to the directory. Bytes that
 * a failed sync should have brought to the disk are lost unless they are written again: as Linux does, which takes them
 * for done, a later sync leaves them out.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What is known of a byte of a file. */
const ByteState = { Durable: 0, Written: 1, InSync: 2, Lost: 3 } as const

/** A file, by whatever names. */
class TrackedFile {
  /** Its content on the disk. */
  durable: Buffer
  private states: Uint8Array

  constructor(durable: Buffer) {
    this.durable = durable
    this.states = new Uint8Array(durable.length)
  }

  written(offset: number, bytes: number): void {
    if (offset + bytes > this.states.length) {
      const states = new Uint8Array(offset + bytes)
      states.set(this.states)
      this.states = states
    }
    this.states.fill(ByteState.Written, offset, offset + bytes)
  }

  /** Begins a sync of what was written up to now; the function says how it ended. */
  sync(content: Buffer): (hasSucceeded: boolean) => void {
    const { states } = this
    for (let i = 0; i < states.length; i++) if (states[i] === ByteState.Written) states[i] = ByteState.InSync
    return (hasSucceeded) => {
      const now = this.states
      const durable = Buffer.alloc(hasSucceeded ? Math.max(this.durable.length, now.length) : this.durable.length)
      this.durable.copy(durable)
      let end = this.durable.length
      for (let i = 0; i < now.length; i++) {
        if (now[i] !== ByteState.InSync) continue
        now[i] = hasSucceeded ? ByteState.Durable : ByteState.Lost
        if (!hasSucceeded) continue
        durable[i] = content[i]!
        end = Math.max(end, i + 1)
      }
      this.durable = durable.subarray(0, end)
    }
  }
}

export class SimulatedDisk {
  private readonly root: string
  private readonly files = new Map<string, TrackedFile>()
  private readonly folders = new Set<string>()
  /** Names in each directory that would be there after a power cut: files, or null for a directory. */
  private readonly durableNames = new Map<string, ReadonlyMap<string, TrackedFile | null>>()

  constructor(root: string) {
    this.root = root
    this.addFolder(root)
  }

  private addFolder(path: string): void {
    this.folders.add(path)
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const inside = join(path, entry.name)
      if (entry.isDirectory()) this.addFolder(inside)
      else if (entry.isFile()) this.files.set(inside, new TrackedFile(readFileSync(inside)))
    }
    this.synced(path)
  }

  /** A file was opened that may be new, or is emptied. */
  opened(path: string, isNew: boolean): void {
    if (isNew || !this.files.has(path)) this.files.set(path, new TrackedFile(Buffer.alloc(0)))
  }

  written(path: string, offset: number, bytes: number): void {
    this.files.get(path)?.written(offset, bytes)
  }

  /** A sync of a file begins. The function is called when it has ended. */
  sync(path: string): (hasSucceeded: boolean) => void {
    const file = this.files.get(path)
    return file === undefined || !existsSync(path) ? () => {} : file.sync(readFileSync(path))
  }

  renamed(from: string, to: string): void {
    // One that others have written counts as complete: they say so by renaming it.
    const file = this.files.get(from) ?? new TrackedFile(readFileSync(to))
    this.files.delete(from)
    this.files.set(to, file)
  }

  removed(path: string): void {
    this.files.delete(path)
  }

  created(path: string): void {
    if (this.folders.has(path)) return
    this.folders.add(path)
    this.durableNames.set(path, new Map())
  }

  /** A directory was synced: its names are durable. */
  synced(path: string): void {
    const names = new Map<string, TrackedFile | null>()
    for (const [file, tracked] of this.files) if (dirname(file) === path) names.set(file, tracked)
    for (const folder of this.folders) if (dirname(folder) === path) names.set(folder, null)
    this.durableNames.set(path, names)
  }

  /** Makes the directory what a power cut leaves. Of what was appended and not synced, `tornBytes` of each file survive. */
  cutPower(tornBytes: number): void {
    const surviving = new Map([...this.files].map(([path, file]) => [file, withTorn(path, file.durable, tornBytes)]))
    this.restore(this.root, surviving)
  }

  private restore(folder: string, surviving: ReadonlyMap<TrackedFile, Buffer>): void {
    const names = this.durableNames.get(folder) ?? new Map<string, TrackedFile | null>()
    for (const path of this.files.keys()) if (dirname(path) === folder) rmSync(path, { force: true })
    for (const path of this.folders)
      if (dirname(path) === folder && !names.has(path)) rmSync(path, { recursive: true, force: true })
    for (const [path, file] of names) {
      if (file !== null) writeFileSync(path, surviving.get(file) ?? file.durable)
      else {
        mkdirSync(path, { recursive: true })
        this.restore(path, surviving)
      }
    }
  }
}

function withTorn(path: string, durable: Buffer, tornBytes: number): Buffer {
  if (tornBytes === 0 || !existsSync(path) || !statSync(path).isFile()) return durable
  const now = readFileSync(path)
  const isAppended = now.length > durable.length && now.subarray(0, durable.length).equals(durable)
  return isAppended ? now.subarray(0, durable.length + tornBytes) : durable
}
