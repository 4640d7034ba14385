/** Where tests with thousands of syncs have their files. What of them is durable is the simulated disk's business. */
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const MEMORY = '/dev/shm'

/** A new empty directory, in memory where the system has such a place. */
export function memoryDirectory(): string {
  return mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'millrace-'))
}
