/**
 * The REST door: commands over HTTP as the Upstash REST API has them, so that its clients work unmodified.
 *
 *     POST /                     one command, a JSON array
 *     GET|POST /set/key/value    one command, a segment for each argument     request-url.ts
 *     POST /pipeline             a batch                                      request-body.ts, execute.ts
 *     POST /multi-exec           a transaction
 *     POST /subscribe/channel    messages as server-sent events               streams.ts, event-stream.ts
 *
 * Hot path: nearly every call of the stock client is a `/pipeline` with one command. Replies are in the form that headers
 * ask for (`format.ts`). This scope reads bodies as bytes, whatever their type, and has its own form of errors.
 */
import { METHODS } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type CallDecode, CommandError, type CommandWords, RAW_RESP, type ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { Problem } from '../problem.ts'
import { JSON_TYPE, restErrorHandler } from './errors.ts'
import { Executor, respBytes } from './execute.ts'
import { formatOf, jsonFormatOf } from './format.ts'
import { outcomeJson } from './reply-json.ts'
import { batchOf, commandOf } from './request-body.ts'
import { commandOfUrl } from './request-url.ts'
import { Streams } from './streams.ts'
import { nextSyncToken } from './sync-token.ts'

const ALLOWED = ['GET', 'HEAD', 'POST', 'PUT']
const WITH_BODY = ['POST', 'PUT']
/** CORS preflights are answered for all doors; a tunnel never becomes a request. */
const NOT_OURS = new Set([...ALLOWED, 'OPTIONS', 'CONNECT'])
const MINUS = 0x2d
const RESP_TYPE = 'application/octet-stream'
export async function restRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  await app.register(async (rest) => {
    rest.removeAllContentTypeParsers()
    rest.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    rest.setErrorHandler(restErrorHandler(context.reportDefect))
    const { oneOfBody, oneOfUrl, batch, transaction } = new Handlers(rest, context)
    const schema = { hide: true }
    rest.route({ method: WITH_BODY, url: '/', schema, handler: oneOfBody })
    rest.route({ method: WITH_BODY, url: '/pipeline', schema, handler: batch })
    rest.route({ method: WITH_BODY, url: '/multi-exec', schema, handler: transaction })
    rest.route({ method: ALLOWED, url: '/*', schema, handler: oneOfUrl })
    refuseMethods(rest)
  })
}

class Handlers {
  private readonly executor: Executor
  private readonly streams: Streams

  constructor(app: FastifyInstance, context: GatewayContext) {
    this.executor = new Executor(context)
    this.streams = new Streams(context)
    app.addHook('onClose', () => this.streams.close())
  }

  readonly oneOfBody = (request: FastifyRequest, reply: FastifyReply): void => {
    this.one(request, reply, commandOf(request.body))
  }

  readonly oneOfUrl = (request: FastifyRequest, reply: FastifyReply): void => {
    const { url = '/' } = request.raw
    // Only POST and PUT have something at the root.
    if (/^\/(?:$|[?#])/.test(url)) {
      reply.callNotFound()
      return
    }
    const words = commandOfUrl(url, request.body)
    if (!this.streams.serves(words)) this.one(request, reply, words)
    else if (request.method === 'HEAD') throw methodNotAllowed('GET, POST, PUT')
    // The stock client sends `[]` as a body, which is no channel.
    else this.streams.answer(request, reply, commandOfUrl(url, null)).catch((error: Error) => reply.send(error))
  }

  readonly batch = (request: FastifyRequest, reply: FastifyReply): void => {
    const decode = formatOf(request.headers)
    const commands = batchOf(request.body)
    this.executor
      .batch(userOf(request), commands, decode, reply.raw)
      .then((body) => answer(reply, decode, body))
      .catch((error: Error) => reply.send(error))
  }

  readonly transaction = (request: FastifyRequest, reply: FastifyReply): void => {
    const decode = jsonFormatOf(request.headers)
    const commands = batchOf(request.body)
    this.executor
      .transaction(userOf(request), commands, decode)
      .then((body) => answer(reply, decode, body))
      .catch((error: Error) => reply.send(error))
  }

  private one(request: FastifyRequest, reply: FastifyReply, words: CommandWords): void {
    const decode = formatOf(request.headers)
    this.executor
      .one(userOf(request), words, decode, reply.raw)
      .then((value) => {
        if (decode === RAW_RESP) answerResp(reply, value)
        else answer(reply, decode, outcomeJson(value, decode))
      })
      .catch((error: Error) => {
        if (decode === RAW_RESP && error instanceof CommandError) answerResp(reply, error)
        else reply.send(error)
      })
  }
}

/** An error reply is a 400 in this form, too. */
function answerResp(reply: FastifyReply, value: ReplyValue): void {
  const bytes = respBytes(value)
  if (bytes[0] === MINUS) reply.code(400)
  answer(reply, RAW_RESP, bytes)
}

function answer(reply: FastifyReply, decode: CallDecode, body: string | Buffer): void {
  reply
    .header('upstash-sync-token', nextSyncToken())
    .header('content-type', decode === RAW_RESP ? RESP_TYPE : JSON_TYPE)
    .send(body)
}

/** Answers 405 to all other methods that HTTP has, before a body is read. */
function refuseMethods(rest: FastifyInstance): void {
  const refuse = (allow: string) => ({
    schema: { hide: true },
    onRequest: async () => {
      throw methodNotAllowed(allow)
    },
    handler: () => {},
  })
  const others = METHODS.filter((method) => !NOT_OURS.has(method))
  for (const method of others) if (!rest.supportedMethods.includes(method)) rest.addHttpMethod(method)
  rest.route({ method: others, url: '/*', ...refuse(ALLOWED.join(', ')) })
  for (const url of ['/pipeline', '/multi-exec']) {
    rest.route({ method: ['GET', 'HEAD'], url, ...refuse(WITH_BODY.join(', ')) })
  }
}

function methodNotAllowed(allow: string): Problem {
  return new Problem(405, `ERR method not allowed: use ${allow}`, {}, { allow })
}
