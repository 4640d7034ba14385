/** The blocks of a stream are byte for byte the nodes that redis-server writes into a DUMP payload. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Arena } from '../../src/storage/arena.ts'
import { NO_POSITION } from '../../src/structures/id-table.ts'
import { Stream } from '../../src/structures/stream.ts'
import { parseStreamIdText, StreamId } from '../../src/structures/stream-id.ts'
import { addListpackBlock, blockListpackBytes, writeBlockListpack } from '../../src/structures/stream-listpack.ts'
import { hasReference, ReferenceServer } from '../bytes/reference-server.ts'

const BLOCK_BYTES = 4096
const BLOCK_ENTRIES = 100

/** Entries with all kinds of elements: small and big integers, short and long strings, the same and other fields. */
function entries(): [string, string[]][] {
  const list: [string, string[]][] = []
  const texts = ['0', '-1', '127', '128', '-4096', '4095', '70000', '8388608', '-2147483649', '9007199254740993']
  texts.push('9223372036854775807', '-9223372036854775808', '9223372036854775808', '007', '', 'text')
  texts.push('x'.repeat(63), 'y'.repeat(64), 'z'.repeat(5000), '\x00\xff\r\n')
  let ms = 1
  for (let i = 0; i < 400; i++) {
    ms += i % 7 === 0 ? 5000 : i % 3
    const seq = i % 7 === 0 ? 0 : i
    const value = texts[i % texts.length]!
    const pairs = i % 11 === 0 ? ['other', value] : ['a', value, '12', String(i)]
    list.push([`${ms}-${seq}`, pairs])
  }
  list.push(['9007199254740993-18446744073709551615', ['a', '1', '12', '2']])
  list.push(['18446744073709551615-3', ['a', '1', '12', '2']])
  return list
}

async function dumpOf(reference: ReferenceServer, key: string): Promise<Buffer> {
  const socket = connect(join(reference.directory, 'redis.sock'))
  await once(socket, 'connect')
  socket.write(`DUMP ${key}\r\n`)
  let reply: Buffer = Buffer.alloc(0)
  for await (const chunk of socket) {
    reply = Buffer.concat([reply, chunk as Buffer])
    const line = reply.indexOf('\r\n')
    if (line > 0 && reply.length === line + 2 + Number(reply.toString('latin1', 1, line)) + 2) {
      socket.destroy()
      return reply.subarray(line + 2, -2)
    }
  }
  throw new Error('No reply')
}

describe.skipIf(!hasReference)('the blocks of a stream', () => {
  it('are the nodes of redis-server, deleted entries included, and are read back from its bytes', async () => {
    const reference = await ReferenceServer.start(['--rdbcompression', 'no'])
    try {
      const stream = new Stream(new Arena())
      const id = new StreamId()
      for (const [text, pairs] of entries()) {
        expect(await reference.command('XADD', 's', text, ...pairs)).toBe(text)
        parseStreamIdText(text, id)
        const source = Buffer.from(pairs.join(''), 'latin1')
        const lengths = Int32Array.from(pairs, (word) => word.length)
        const offsets = Int32Array.from(pairs, (_word, i) => pairs.slice(0, i).join('').length)
        stream.append(id, source, offsets, lengths, 0, pairs.length, BLOCK_BYTES, BLOCK_ENTRIES)
      }
      const ids = entries().map(([text]) => text)
      for (const text of [ids[3]!, ids[120]!, ids[121]!]) {
        expect(await reference.command('XDEL', 's', text)).toBe(1)
        parseStreamIdText(text, id)
        expect(stream.delete(id)).toBe(true)
      }
      const dump = await dumpOf(reference, 's')
      let from = 0
      const copy = new Stream(new Arena())
      for (let block = stream.blocks.first(); block !== NO_POSITION; block = stream.blocks.next(block)) {
        const bytes = Buffer.alloc(blockListpackBytes(stream, block))
        writeBlockListpack(stream, block, bytes, 0)
        const at = dump.indexOf(bytes, from)
        expect(at, `block ${block}`).toBeGreaterThan(from)
        from = at + bytes.length
        stream.blocks.readId(block, 0, id)
        expect(addListpackBlock(copy, id, dump, at, bytes.length)).toBe(true)
      }
      expect(stream.blocks.size).toBeGreaterThan(4)
      expect(copy.blocks.size).toBe(stream.blocks.size)
    } finally {
      await reference.stop()
    }
  })
})
