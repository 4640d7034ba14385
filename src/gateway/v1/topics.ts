/**
 * Topics: channels of publish and subscribe. Hot path: publish.
 *
 * What is published goes to whoever listens at the moment, through any door, and is kept nowhere; streams keep.
 */
import type { FastifyInstance } from 'fastify'
import { CommandError, Decode, type ReplyValue } from '../engine.ts'
import type { GatewayContext } from '../gateway.ts'
import { userOf } from '../identity.ts'
import { Problem } from '../problem.ts'
import { answer, BATCH_MAX, body, ENCODING, NAME_LENGTH_MAX, params, query } from './schemas.ts'
import { decodeText, type Encoding, numberOf } from './stream-json.ts'

const TAGS = ['Topics']
const CHANNELS_MAX = 100
const JSON_TYPE = 'application/json; charset=utf-8'
const CHANNEL = {
  type: 'string',
  minLength: 1,
  maxLength: NAME_LENGTH_MAX,
  description: 'Name of the channel.',
} as const
const DATA = { type: 'string', description: 'What is published.' } as const

interface Message {
  readonly data: string
  readonly encoding: Encoding
}

interface PublishBody {
  readonly data?: string
  readonly encoding: Encoding
  readonly messages?: readonly Message[]
}

export async function topicRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  publishRoute(app, context)
  subscribersRoutes(app, context)
}

function publishRoute(app: FastifyInstance, { engine }: GatewayContext): void {
  app.post<{ Params: { readonly channel: string }; Body: PublishBody }>(
    '/topics/:channel/messages',
    {
      schema: {
        tags: TAGS,
        operationId: 'publish',
        summary: 'Publishes one message or many',
        params: params({ channel: CHANNEL }),
        body: body({
          data: DATA,
          encoding: ENCODING,
          messages: {
            type: 'array',
            minItems: 1,
            maxItems: BATCH_MAX,
            description: 'Instead of `data`, for several.',
            items: body({ data: DATA, encoding: ENCODING }, ['data']),
          },
        }),
        response: {
          200: {
            ...answer('How many received it; of several messages, the sum.', { receivers: { type: 'integer' } }),
            properties: {
              receivers: { type: 'integer' },
              each: { type: 'array', items: { type: 'integer' }, description: 'Of several messages, in their order.' },
            },
          },
        },
      },
      // The answer is written by hand.
      serializerCompiler: () => JSON.stringify,
    },
    (request, reply) => {
      const { channel } = request.params
      const { data, encoding, messages } = request.body
      if ((data === undefined) === (messages === undefined)) {
        throw new Problem(400, 'The body must have one of data and messages')
      }
      const user = userOf(request)
      const answerWith = (text: string): void => {
        reply.header('content-type', JSON_TYPE).send(text)
      }
      const failWith = (error: Error): void => {
        reply.send(error)
      }
      if (data !== undefined) {
        engine
          .call(user, ['PUBLISH', channel, decodeText(data, encoding)])
          .then((receivers) => answerWith(`{"receivers":${String(receivers)}}`), failWith)
        return
      }
      const commands = (messages ?? []).map((message) => [
        'PUBLISH',
        channel,
        decodeText(message.data, message.encoding),
      ])
      engine.pipeline(user, commands, Decode.Text).then((replies) => {
        const failed = replies.find((receivers) => receivers instanceof CommandError)
        if (failed instanceof CommandError) failWith(failed)
        else answerWith(receiversText(replies.map(numberOf)))
      }, failWith)
    },
  )
}

function receiversText(each: readonly number[]): string {
  const receivers = each.reduce((sum, one) => sum + one, 0)
  return `{"receivers":${receivers},"each":[${each.join(',')}]}`
}

const SUBSCRIBERS = {
  type: 'integer',
  description: 'Who is subscribed to the channel by its name. All listeners of one gateway count as one.',
} as const

function subscribersRoutes(app: FastifyInstance, { engine }: GatewayContext): void {
  app.get<{ Params: { readonly channel: string } }>(
    '/topics/:channel',
    {
      schema: {
        tags: TAGS,
        operationId: 'getTopic',
        summary: 'Counts the subscribers of a channel',
        params: params({ channel: CHANNEL }),
        querystring: query({}),
        response: { 200: answer('The count.', { channel: { type: 'string' }, subscribers: SUBSCRIBERS }) },
      },
    },
    async (request) => {
      const { channel } = request.params
      const reply = await engine.call(userOf(request), ['PUBSUB', 'NUMSUB', channel])
      return { channel, subscribers: numberOf((reply as readonly ReplyValue[])[1]) }
    },
  )

  app.get<{ Querystring: { readonly channel: readonly string[] } }>(
    '/topics',
    {
      schema: {
        tags: TAGS,
        operationId: 'listTopics',
        summary: 'Counts the subscribers of several channels',
        querystring: {
          ...query({
            channel: {
              type: 'array',
              minItems: 1,
              maxItems: CHANNELS_MAX,
              items: CHANNEL,
              description: 'Channels; the parameter is repeated.',
            },
          }),
          required: ['channel'],
        },
        response: {
          200: answer('The counts, in the order of the request.', {
            topics: {
              type: 'array',
              items: { type: 'object', properties: { channel: { type: 'string' }, subscribers: SUBSCRIBERS } },
            },
          }),
        },
      },
    },
    async (request) => {
      const { channel } = request.query
      const reply = (await engine.call(userOf(request), ['PUBSUB', 'NUMSUB', ...channel])) as readonly ReplyValue[]
      return {
        topics: channel.map((name, index) => ({ channel: name, subscribers: numberOf(reply[2 * index + 1]) })),
      }
    },
  )
}
