/**
 * What of a directory is durable, at worst: the content that files had when they were synced, under the names that
 * directories had when those were synced. Files that were there in the beginning are durable.
 *
 * A file keeps its identity when it is renamed; what is durable belongs to the file, the name to the directory.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A file, by whatever names. */
interface TrackedFile {
  durable: Buffer
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
      else if (entry.isFile()) this.files.set(inside, { durable: readFileSync(inside) })
    }
    this.synced(path)
  }

  /** A file was opened that may be new, or is emptied. */
  opened(path: string, isNew: boolean): void {
    if (isNew || !this.files.has(path)) this.files.set(path, { durable: Buffer.alloc(0) })
  }

  /** The content that a file has now will be durable: returns what makes it so, to be called when the sync has ended. */
  content(path: string): () => void {
    const file = this.files.get(path)
    if (file === undefined || !existsSync(path)) return () => {}
    const content = readFileSync(path)
    return () => {
      file.durable = content
    }
  }

  renamed(from: string, to: string): void {
    // One that others have written counts as complete: they say so by renaming it.
    const file = this.files.get(from) ?? { durable: readFileSync(to) }
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
