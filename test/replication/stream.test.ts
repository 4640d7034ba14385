/** The stream of effects that replicas read. */
import { expect, test } from 'vitest'
import { ReplicationStream } from '../../src/replication/stream.ts'

const BACKLOG = 64 * 1024
const CHUNK = Buffer.alloc(16 * 1024, 'x')

test('what is kept for a reader that lags behind is no memory of the backlog', () => {
  const stream = new ReplicationStream(0, BACKLOG)
  const cursor = stream.endCursor()
  stream.hold(cursor)
  for (let i = 0; i < 100; i++) stream.append(CHUNK, 0, CHUNK.length)
  expect(stream.memoryFrom(null)).toBeGreaterThanOrEqual(100 * CHUNK.length)
  expect(stream.backlogMemory).toBeGreaterThanOrEqual(BACKLOG)
  expect(stream.backlogMemory).toBeLessThan(3 * BACKLOG)
  stream.release(cursor)
  expect(stream.memoryFrom(null)).toBe(stream.backlogMemory)
})
