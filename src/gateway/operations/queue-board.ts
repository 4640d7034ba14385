/**
 * The dashboard of queues: bull-board at `/queues`, for people in browsers, over the queues of the default prefix.
 *
 * A browser that is not logged in is asked for user and password (Basic). Who may read all queues sees the board; who may
 * not write every key (jobs name others) sees it without buttons, and is refused when it tries nevertheless. Browsers send passwords along with
 * whatever page asks, so changes are accepted from the board's own pages only (`Sec-Fetch-Site`, else `Origin`).
 *
 * The list of queues is made anew when the board is used, and not more often than it costs: new ones show up by
 * themselves. Files come from the package; a policy keeps the page from loading anything from elsewhere.
 */
import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { User } from '../../access/user.ts'
import type { GatewayContext } from '../gateway.ts'
import { unauthorized, userOf } from '../identity.ts'
import { requireCommands } from '../permissions.ts'
import { isExpected, Problem, sendProblem, statusOf } from '../problem.ts'
import { requireAllQueuesRead, requireEveryKeyRead, requireEveryKeyWrite } from '../queues/access.ts'
import { translateBullError } from '../queues/errors.ts'
import type { JobQueue, QueueRegistry } from '../queues/registry.ts'

const PATH = '/queues'
/** Queues on the board, by name; the API has all of them. */
const QUEUES_MAX = 200
/** The list is as old as this at most, in ms; or older, so that finding it takes a twentieth of the time. */
const REFRESH_MS = 2000
const REFRESH_REST_FACTOR = 20

/** Browsers ask for a password only if nothing else is named beside Basic. */
const CHALLENGE = 'Basic realm="millrace", charset="UTF-8"'

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  // The board sets styles on elements.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "base-uri 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export async function queueBoardRoutes(app: FastifyInstance, context: GatewayContext): Promise<void> {
  const adapter = new FastifyAdapter()
  adapter.setBasePath(PATH)
  const list = new BoardQueues(context.queues, createBoard(adapter))
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route: RouteOptions) => {
      // The board's own would answer with messages of errors that are nobody's business.
      route.errorHandler = boardErrorHandler(context)
    })
    scope.addHook('onRequest', async (request, reply) => {
      admit(context, request)
      reply.header('content-security-policy', POLICY).header('x-content-type-options', 'nosniff')
      reply.header('referrer-policy', 'same-origin')
      if (isApi(request)) reply.header('cache-control', 'no-store')
    })
    scope.addHook('preHandler', async (request) => {
      if (isApi(request)) await list.refresh()
    })
    scope.addHook('preSerialization', async (request, _reply, payload) => {
      return mayChange(context, userOf(request)) ? payload : asReadOnly(payload)
    })
    await scope.register(adapter.registerPlugin(), { prefix: PATH })
  })
}

type Board = ReturnType<typeof createBullBoard>
type BoardServer = Parameters<typeof createBullBoard>[0]['serverAdapter']

function createBoard(adapter: FastifyAdapter): Board {
  return createBullBoard({
    queues: [],
    // The two packages may come with two copies of the same types, which TypeScript takes for different ones.
    serverAdapter: adapter as unknown as BoardServer,
    options: {
      uiConfig: {
        boardTitle: 'Millrace queues',
        // It would ask for all clients of the server with each look at each queue.
        showWorkers: false,
        hideDocsLink: true,
      },
    },
  })
}

/** Which queues the board shows. */
class BoardQueues {
  private readonly queues: QueueRegistry
  private readonly board: Board
  private adapters = new Map<string, { readonly queue: JobQueue; readonly adapter: BullMQAdapter }>()
  private refreshing: Promise<void> | null = null
  private dueMs = Number.NEGATIVE_INFINITY

  constructor(queues: QueueRegistry, board: Board) {
    this.queues = queues
    this.board = board
  }

  /** Looks for queues if it is time to. */
  async refresh(): Promise<void> {
    if (this.refreshing === null && performance.now() >= this.dueMs) {
      const fromMs = performance.now()
      this.refreshing = this.find().finally(() => {
        const nowMs = performance.now()
        this.dueMs = nowMs + Math.max(REFRESH_MS, (nowMs - fromMs) * REFRESH_REST_FACTOR)
        this.refreshing = null
      })
    }
    await this.refreshing
  }

  private async find(): Promise<void> {
    const prefix = this.queues.prefix(null)
    const options = { countMax: QUEUES_MAX, isWanted: () => true, signal: null }
    const { names } = await this.queues.find(prefix, options)
    const found: typeof this.adapters = new Map()
    for (const name of names) {
      const queue = this.queues.queue({ prefix, name })
      const known = this.adapters.get(name)
      found.set(name, known?.queue === queue ? known : { queue, adapter: new BullMQAdapter(queue) })
    }
    this.adapters = found
    this.board.replaceQueues([...found.values()].map(({ adapter }) => adapter))
  }
}

/** @throws Problem 401 or 403; CommandError NOPERM */
function admit(context: GatewayContext, request: FastifyRequest): void {
  const { engine } = context
  const user = userOf(request)
  const prefix = context.queues.prefix(null)
  if (!isReading(request)) {
    requireSameOrigin(request)
    requireEveryKeyWrite(engine, user)
  }
  try {
    requireAllQueuesRead(engine, user, prefix)
  } catch (error) {
    // Who has not said who it is may be somebody else.
    if (request.headers.authorization === undefined) throw unauthorized('Log in as a user who may read all queues')
    throw error
  }
  const url = request.routeOptions.url ?? ''
  if (url.endsWith('/flow')) requireEveryKeyRead(engine, user)
  if (url.endsWith('/redis/stats')) requireCommands(engine, user, [['INFO']])
  if (url.endsWith('/workers')) requireCommands(engine, user, [['CLIENT', 'LIST']])
}

function isReading({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

function isApi({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.url?.startsWith(`${PATH}/api/`) ?? false
}

/** @throws Problem 403 unless a page of this server asks: browsers say so, and pages cannot change what they say */
function requireSameOrigin({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site']
  if (site !== undefined) {
    if (site === 'same-origin') return
  } else if (headers.origin !== undefined && hostOf(headers.origin) === headers.host?.toLowerCase()) {
    return
  }
  throw new Problem(403, 'Changes are accepted from the pages of the board only')
}

function hostOf(origin: string): string | null {
  return URL.parse(origin)?.host ?? null
}

function mayChange({ engine }: GatewayContext, user: User): boolean {
  try {
    requireEveryKeyWrite(engine, user)
    return true
  } catch (error) {
    if (statusOf(error) === 403) return false
    throw error
  }
}

/** An answer of the board in which all queues are marked as read-only: its pages show no buttons then. */
function asReadOnly(payload: unknown): unknown {
  if (typeof payload !== 'object' || payload === null || !('queues' in payload)) return payload
  const { queues } = payload
  if (!(queues instanceof Array)) return payload
  return { ...payload, queues: queues.map((queue: object) => ({ ...queue, readOnlyMode: true, allowRetries: false })) }
}

function boardErrorHandler(context: GatewayContext): NonNullable<RouteOptions['errorHandler']> {
  return (thrown: unknown, request: FastifyRequest, reply: FastifyReply) => {
    // The board decodes a parameter of its own once more.
    const error = thrown instanceof URIError ? new Problem(400, thrown.message) : translateBullError(thrown)
    const status = statusOf(error)
    const isDefect = status >= 500 && !isExpected(error)
    if (isDefect) context.reportDefect(error, request)
    const detail = error instanceof Error && !isDefect ? error.message : 'An internal error occurred'
    // The board shows `error`.
    const headers = error instanceof Problem ? error.headers : {}
    const challenge = status === 401 ? { 'www-authenticate': CHALLENGE } : {}
    sendProblem(reply, request, new Problem(status, detail, { error: detail }, { ...headers, ...challenge }))
  }
}
