/** The manifest of the append-only file: what Redis writes is read, what it refuses is refused with its words. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Files } from '../../src/files/files.ts'
import {
  EMPTY_MANIFEST,
  filesToLoad,
  type Manifest,
  ManifestError,
  manifestText,
  parseManifest,
  readManifest,
  withIncrementalAsHistory,
  withNewBase,
  withNewIncremental,
  withoutHistory,
  writeManifest,
} from '../../src/persistence/manifest.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const NAME = 'appendonly.aof'

/** Null when it is refused. */
function parsedOrNull(text: string): Manifest | null {
  try {
    return parseManifest(text, 'm')
  } catch (error) {
    if (error instanceof ManifestError) return null
    throw error
  }
}

describe('a manifest', () => {
  test('is read as Redis writes it, with comments, further words and history', () => {
    const text = [
      '# by hand',
      'file appendonly.aof.7.base.rdb seq 7 type b newkey newvalue',
      'FILE appendonly.aof.2.incr.aof Seq 2 type h',
      'file appendonly.aof.6.base.rdb seq 6 type h',
      'file appendonly.aof.3.incr.aof seq 3 type i',
      'file "appendonly.aof.9.incr.aof" seq 9 type i',
      '',
    ].join('\n')
    const manifest = parseManifest(text, 'm')
    expect(filesToLoad(manifest).map(({ name }) => name)).toEqual([
      'appendonly.aof.7.base.rdb',
      'appendonly.aof.3.incr.aof',
      'appendonly.aof.9.incr.aof',
    ])
    expect(manifest.history).toEqual([
      { name: 'appendonly.aof.2.incr.aof', sequence: 2, type: 'h' },
      { name: 'appendonly.aof.6.base.rdb', sequence: 6, type: 'h' },
    ])
    expect(manifest).toMatchObject({ baseSequence: 7, incrementalSequence: 9 })
  })

  test.each([
    ['', 'Found an empty AOF manifest'],
    ['file a.1.incr.aof seq 1 type i', 'The AOF manifest file contains too long line'],
    [`file a.1.base.aof seq 1 type b ${'k v '.repeat(300)}\n`, 'The AOF manifest file contains too long line'],
    ['file a.2.incr.aof seq 2 type i\nfile a.1.incr.aof seq 1 type i\n', 'Found a non-monotonic sequence number'],
    ['file a.2.incr.aof seq 2 type i\nfile a.2.incr.aof seq 2 type i\n', 'Found a non-monotonic sequence number'],
    ['file a.1.base.aof seq 1 type b\nfile a.2.base.aof seq 2 type b\n', 'Found duplicate base file information'],
    ['file a.1.base.aof seq 1 type b\n\n', 'Invalid AOF manifest file format'],
    ['file a.1.base.aof seq 1 type x\n', 'Unknown AOF file type'],
    ['filx a.1.base.aof seq 1 type b\n', 'Invalid AOF manifest file format'],
    ['file a.1.base.aof type b\n', 'Invalid AOF manifest file format'],
    ['file a.1.base.aof seq 1 type b newkey\n', 'Invalid AOF manifest file format'],
    ['file a.1.base.aof seq 0 type b\n', 'Invalid AOF manifest file format'],
    ['file a.1.base.aof seq 99999999999999999999 type b\n', 'Invalid AOF manifest file format'],
    ['file "a seq 1 type b\n', 'Invalid AOF manifest file format'],
    ['file ../a.1.base.aof seq 1 type b\n', "File can't be a path, just a filename"],
  ])('that says %j is refused: %s', (text, reason) => {
    expect(() => parseManifest(text, '/data/m.manifest')).toThrow(reason)
    expect(() => parseManifest(text, '/data/m.manifest')).toThrow('/data/m.manifest')
  })

  test('gives consecutive names, and makes history of what a rewrite replaces, in the order of Redis', () => {
    let manifest = withNewIncremental(withNewBase(EMPTY_MANIFEST, NAME, 'rdb'), NAME)
    manifest = withNewIncremental(manifest, NAME)
    manifest = withIncrementalAsHistory(withNewBase(manifest, NAME, 'aof'), 1)
    expect(manifestText(manifest)).toBe(
      [
        'file appendonly.aof.2.base.aof seq 2 type b',
        'file appendonly.aof.1.incr.aof seq 1 type h',
        'file appendonly.aof.1.base.rdb seq 1 type h',
        'file appendonly.aof.2.incr.aof seq 2 type i',
        '',
      ].join('\n'),
    )
    expect(manifestText(withoutHistory(withIncrementalAsHistory(manifest, 0)))).toBe(
      'file appendonly.aof.2.base.aof seq 2 type b\n',
    )
  })

  test('never gives a new file the name of one that is about to be removed', () => {
    const history = 'file appendonly.aof.1.incr.aof seq 1 type h\nfile appendonly.aof.1.base.rdb seq 1 type h\n'
    const manifest = parseManifest(history, 'm')
    expect(withNewIncremental(manifest, NAME).incremental[0]!.name).toBe('appendonly.aof.2.incr.aof')
  })

  test('is refused when a changed bit would leave out a file, have it removed, or have an old one loaded', () => {
    const first = withNewIncremental(withNewBase(EMPTY_MANIFEST, NAME, 'rdb'), NAME)
    const second = withNewBase(withNewIncremental(first, NAME), NAME, 'aof')
    const whole = [first, second, withIncrementalAsHistory(second, 1), withIncrementalAsHistory(second, 0)]
    for (const manifest of [...whole, withNewIncremental(withoutHistory(second), NAME)]) {
      const bytes = Buffer.from(manifestText(manifest), 'latin1')
      expect(parseManifest(bytes.toString('latin1'), 'm').history).toEqual(manifest.history)
      const names = [...filesToLoad(manifest), ...manifest.history].map(({ name }) => name)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const damaged = Buffer.from(bytes)
        damaged[bit >> 3]! ^= 1 << (bit & 7)
        const found = parsedOrNull(damaged.toString('latin1'))
        // A file that there is not ends the start.
        if (found === null || filesToLoad(found).some(({ name }) => !names.includes(name))) continue
        const loaded = filesToLoad(manifest).map(({ name }) => name)
        expect(
          filesToLoad(found).map(({ name }) => name),
          damaged.toString('latin1'),
        ).toEqual(loaded)
      }
    }
  })

  test.each([
    ' file seq \n\n.aof ',
    "it's.aof",
    'back"slash.aof',
    'caf\xc3\xa9.aof',
    'plain.aof',
  ])('brings back the file name %j', (fileName) => {
    const manifest = withNewIncremental(withNewBase(EMPTY_MANIFEST, fileName, 'rdb'), fileName)
    expect(parseManifest(manifestText(manifest), 'm')).toEqual(manifest)
  })
})

describe('writing a manifest', () => {
  let directory = ''
  beforeEach(() => {
    directory = temporaryDirectory()
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  test('leaves the old one when it fails, and no temporary file', () => {
    const path = join(directory, 'a.manifest')
    writeManifest(path, withNewIncremental(EMPTY_MANIFEST, 'a'))
    const files = new (class extends Files {
      override rename(): void {
        throw new Error('EIO')
      }
    })()
    expect(() => writeManifest(path, withNewBase(EMPTY_MANIFEST, 'a', 'rdb'), files)).toThrow('EIO')
    expect(readFileSync(path, 'utf8')).toBe('file a.1.incr.aof seq 1 type i\n')
    expect(readdirSync(directory)).toEqual(['a.manifest'])
  })

  test('writes aside under the name that Redis uses, over what a crash has left there', () => {
    const temporary = join(directory, 'temp-a.manifest')
    writeFileSync(temporary, 'torn')
    const written: string[] = []
    const files = new (class extends Files {
      override rename(from: string, to: string): void {
        written.push(from)
        super.rename(from, to)
      }
    })()
    writeManifest(join(directory, 'a.manifest'), withNewIncremental(EMPTY_MANIFEST, 'a'), files)
    expect(written).toEqual([temporary])
    expect(existsSync(temporary)).toBe(false)
  })

  test('a missing one is null, one that cannot be read is an error', () => {
    expect(readManifest(join(directory, 'none'))).toBeNull()
    mkdirSync(join(directory, 'folder'))
    expect(() => readManifest(join(directory, 'folder'))).toThrow(
      `Cannot read the AOF manifest ${join(directory, 'folder')}: Is a directory`,
    )
  })
})
