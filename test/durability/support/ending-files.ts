/** Files on a disk whose power is cut, or whose process is killed, just before a chosen call: between any two steps. */
import type { FileDone } from '../../../src/files/files.ts'
import { FaultyFiles } from './faulty-files.ts'

export type Ending = (files: FaultyFiles) => void

export class EndingFiles extends FaultyFiles {
  /** Calls that are still done. */
  callsLeft = Number.POSITIVE_INFINITY
  hasEnded = false
  private readonly ending: Ending

  constructor(directory: string, ending: Ending) {
    super(directory)
    this.ending = ending
  }

  override open(path: string, flags: string, mode: number): number {
    this.count()
    return super.open(path, flags, mode)
  }

  override write(fd: number, buffer: Buffer, start: number, length: number, offset: number): number {
    this.count()
    return super.write(fd, buffer, start, length, offset)
  }

  override sync(fd: number): void {
    this.count()
    super.sync(fd)
  }

  override syncLater(fd: number, done: FileDone): void {
    this.count()
    super.syncLater(fd, done)
  }

  override syncContent(fd: number): void {
    this.count()
    super.syncContent(fd)
  }

  override syncContentLater(fd: number, done: FileDone): void {
    this.count()
    super.syncContentLater(fd, done)
  }

  override rename(from: string, to: string): void {
    this.count()
    super.rename(from, to)
  }

  override remove(path: string): void {
    this.count()
    super.remove(path)
  }

  override createDirectory(path: string): void {
    this.count()
    super.createDirectory(path)
  }

  override syncDirectory(path: string): void {
    this.count()
    super.syncDirectory(path)
  }

  override syncDirectoryLater(path: string, done: FileDone): void {
    this.count()
    super.syncDirectoryLater(path, done)
  }

  private count(): void {
    if (this.callsLeft-- !== 0) return
    this.hasEnded = true
    this.ending(this)
  }
}
