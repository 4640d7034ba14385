/**
 * What is no request, or hardly one: the same reply and the same fate of the connection as at redis-server, byte for
 * byte, whether the client stays or shuts down its direction behind it.
 */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestBroker } from '../support/broker.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { hasRedisServer, ServerProcess } from '../support/server-process.ts'

/** The reference is given this long to say all that it will say, in ms. */
const QUIET_MS = 200
/** Longest wait for our server to say the same, in ms. */
const LIMIT_MS = 3000
const PING = '*1\r\n$4\r\nPING\r\n'
const LINE_MAX = 65_536

const INPUTS: Readonly<Record<string, string>> = {
  'inline request': 'PING\r\n',
  'inline request with LF only': 'PING\n',
  'inline request with CR only': 'PING\rPING\n',
  'empty lines': `\r\n\n   \r\n${PING}`,
  'no arguments': `*0\r\n${PING}`,
  'a negative count': `*-1\r\n*-100\r\n${PING}`,
  'a count of letters': '*abc\r\n',
  'no count': '*\r\n',
  'a count with a leading zero': `*03\r\n${PING}`,
  'a count with a plus sign': '*+1\r\n',
  'a count with a blank': '* 1\r\n',
  'a count beyond 31 bits': '*2147483648\r\n',
  'a count beyond 64 bits': '*99999999999999999999999\r\n',
  'a count of a million and one': '*1048577\r\n$4\r\nPING\r\n',
  'a count of 2^31 - 1': '*2147483647\r\n$4\r\n',
  'a length of letters': '*1\r\n$abc\r\n',
  'a negative length': '*1\r\n$-1\r\n',
  'no length': '*1\r\n$\r\n',
  'a length with a leading zero': '*1\r\n$04\r\nPING\r\n',
  'an empty name': '*1\r\n$0\r\n\r\n',
  'an empty name and an argument': '*2\r\n$0\r\n\r\n$1\r\na\r\n',
  'a length of two zeros': '*1\r\n$00\r\n\r\n',
  'a length with a plus sign': '*1\r\n$+4\r\nPING\r\n',
  'a length beyond the limit': '*2\r\n$3\r\nGET\r\n$536870913\r\n',
  'a length at the limit': '*2\r\n$3\r\nGET\r\n$536870912\r\n',
  'a length beyond 64 bits': '*1\r\n$99999999999999999999\r\n',
  'a word where a length belongs': '*1\r\nPING\r\n',
  'another type where a length belongs': '*2\r\n$3\r\nGET\r\n:5\r\n',
  'an empty line where a length belongs': '*1\r\n\r\n',
  'a high byte where a length belongs': '*1\r\n\xff\r\n',
  'a half word where a length belongs': '*1\r\nPI',
  'half a wrong length': '*1\r\n$4x',
  'a payload without its end': `*1\r\n$4\r\nPINGXX${PING}`,
  'a payload that is longer than it says': `*2\r\n$4\r\nPING\r\n$3\r\nabcd\r\n${PING}`,
  'LF instead of CRLF': '*1\n$4\nPING\n',
  'LF instead of the second CRLF': '*1\r\n$4\nPING\r\n',
  'CR and something else': '*1\rX$4\rXPINGYY',
  'a zero byte behind an inline request': `PING\0\r\n${PING}`,
  'a zero byte before an inline request': '\0PING\r\n',
  'a zero byte in a count': `*1\0\r\n${PING}`,
  'a zero byte in a length': '*1\r\n$4\0\r\nPING\r\n',
  'a zero byte where a length belongs': '*1\r\n\0PING\r\n',
  'a double quote without its end': 'SET a "b\r\n',
  'a single quote without its end': "SET a 'b\r\n",
  'letters behind a closing quote': 'SET a "b"c\r\n',
  'unbalanced quotes behind a request': `${PING}SET x "\r\n${PING}`,
  'escapes in quotes': 'ECHO "a\\x41\\n\\t b"\r\n',
  'a quote in quotes': "ECHO 'a\\'b'\r\n",
  'empty quotes': 'ECHO ""\r\n""\r\n',
  'an inline request of 64 KB without end': 'A'.repeat(LINE_MAX),
  'an inline request of more than 64 KB without end': 'A'.repeat(LINE_MAX + 1),
  'a count of more than 64 KB': `*${'1'.repeat(LINE_MAX + 1)}`,
  'a length of more than 64 KB': `*1\r\n$${'1'.repeat(LINE_MAX + 1)}`,
  'more than 64 KB where a length belongs': `*1\r\n${'x'.repeat(LINE_MAX + 2)}`,
  'an inline request of nearly 64 KB': `ECHO ${'A'.repeat(65_000)}\r\n`,
  'an HTTP POST': 'POST / HTTP/1.1\r\nHost: x\r\n\r\n',
  'an HTTP GET': 'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
  'a header behind a request': `${PING}host: localhost\r\n${PING}`,
  'POST as a request': `*1\r\n$4\r\nPOST\r\n${PING}`,
  'POST inside MULTI': `MULTI\r\nPOST /\r\n${PING}`,
  'a TLS hello': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n',
  'garbage behind a request': `${PING}}}}}\r\n\x01\x02\xff\r\n${PING}`,
  'a zero byte behind a request': `${PING}\x00\x01\x02\xff\r\n${PING}`,
  'replies as requests': ':5\r\n-ERR x\r\n+OK\r\n|1\r\n_\r\n$-1\r\n',
  'an unknown name with CR, LF and zero bytes': '*2\r\n$4\r\nf\r\no\r\n$6\r\na\0b\r\nc\r\n',
  'a long unknown name': `*2\r\n$200\r\n${'f'.repeat(200)}\r\n$200\r\n${'g'.repeat(200)}\r\n`,
  'an unknown name with many arguments': `foo ${'arg '.repeat(200)}\r\nfoo ${'"" '.repeat(100)}\r\n`,
  'requests behind QUIT': `${PING}QUIT\r\n${PING}`,
  'wrong protocol versions': 'HELLO 4\r\nHELLO abc\r\n',
  'a protocol error inside MULTI': 'MULTI\r\nSET a b\r\n*1\r\n!\r\n',
  'a protocol error while subscribed': 'SUBSCRIBE a\r\n*1\r\n!\r\n',
  'requests that a subscriber may not send': 'SUBSCRIBE a\r\nGET x\r\nPING\r\nPING x\r\nECHO a\r\n',
  'a protocol error behind a blocking request': 'BLPOP nothing 0\r\n*1\r\n!\r\n',
}

const LOCKED_INPUTS: Readonly<Record<string, string>> = {
  'ten arguments': `*10\r\n${'$1\r\na\r\n'.repeat(10)}`,
  'eleven arguments': `*11\r\n${'$1\r\na\r\n'.repeat(11)}`,
  'an argument of 16384 bytes': `*1\r\n$16384\r\n${'a'.repeat(16_384)}\r\n`,
  'an argument of 16385 bytes': `*1\r\n$16385\r\n${'a'.repeat(16_385)}\r\n`,
  'requests before AUTH': 'PING\r\nGET a\r\nFOO\r\nAUTH wrong\r\nAUTH default secret\r\nPING\r\n',
  'a long request behind AUTH': `AUTH secret\r\n*12\r\n$4\r\nMGET\r\n${'$1\r\na\r\n'.repeat(11)}`,
  'an HTTP POST': 'POST / HTTP/1.1\r\nHost: x\r\n\r\n',
  'QUIT and HELLO': 'HELLO 2 AUTH default wrong\r\nHELLO 9\r\nQUIT\r\n',
}

describe.skipIf(!hasRedisServer)('malformed input is answered as by redis-server', () => {
  for (const [title, inputs, options] of [
    ['without a password', INPUTS, []],
    ['before authentication', LOCKED_INPUTS, ['--requirepass', 'secret']],
  ] as const) {
    describe(title, () => {
      let reference: ServerProcess
      let broker: TestBroker

      beforeAll(async () => {
        reference = await ServerProcess.redis(options)
        broker = await TestBroker.start(options.length > 0 ? { requirepass: 'secret' } : {})
      }, 30_000)

      afterAll(async () => {
        await broker.stop()
        await reference.dispose()
      })

      test.concurrent.each(Object.keys(inputs))('%s', async (name) => {
        const input = inputs[name]!
        await Promise.all(
          [false, true].map(async (isLast) => {
            const theirs = await RawConnection.connect(reference.port)
            sendTo(theirs, input, isLast)
            await new Promise((resolve) => setTimeout(resolve, QUIET_MS))
            const expected = fateOf(theirs)
            const ours = await RawConnection.connect(broker.port)
            sendTo(ours, input, isLast)
            const limit = performance.now() + LIMIT_MS
            while (!isDeepStrictEqual(fateOf(ours), expected) && performance.now() < limit)
              await new Promise((resolve) => setTimeout(resolve, 5))
            // A further turn of the server, in which it must not say more.
            await (await broker.connect()).call('HELLO')
            const found = fateOf(ours)
            theirs.close()
            ours.close()
            expect(found, isLast ? 'with its direction shut down' : 'staying').toEqual(expected)
          }),
        )
      })
    })
  }
})

function fateOf(connection: RawConnection): { text: string; isEnded: boolean } {
  return { text: connection.text, isEnded: connection.isEnded }
}

function sendTo(connection: RawConnection, input: string, isLast: boolean): void {
  if (isLast) connection.sendLast(input)
  else connection.send(input)
}
