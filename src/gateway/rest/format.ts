/** In which form a client wants its replies, as headers of the request say. Hot path. */
import type { IncomingHttpHeaders } from 'node:http'
import { type CallDecode, Decode, RAW_RESP } from '../engine.ts'
import { Problem } from '../problem.ts'

/** @throws Problem 400 for values that are none, and for base64 together with RESP2 */
export function formatOf(headers: IncomingHttpHeaders): CallDecode {
  const decode = jsonFormatOf(headers)
  const format = headers['upstash-response-format']
  if (format === undefined || format === 'json') return decode
  if (format !== 'resp2') throw new Problem(400, 'ERR Upstash-Response-Format must be json or resp2')
  if (decode === Decode.Base64) throw new Problem(400, 'ERR Upstash-Encoding cannot be combined with resp2')
  return RAW_RESP
}

/** As `formatOf`, where replies are JSON in any case. @throws Problem 400 */
export function jsonFormatOf(headers: IncomingHttpHeaders): Decode {
  const encoding = headers['upstash-encoding']
  if (encoding === undefined) return Decode.Text
  if (encoding !== 'base64') throw new Problem(400, 'ERR Upstash-Encoding must be base64')
  return Decode.Base64
}
