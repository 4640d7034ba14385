/**
 * The description of the resource API: an OpenAPI 3.1 document at `/v1/openapi.json`, and a reference page of it at
 * `/v1/docs`. Both are public and need nothing from outside.
 *
 * The document is made of the schemas that requests are checked with, so it cannot differ from what the routes do. What
 * all operations share (credentials, problem details) is added here, once. Routes with `schema.hide` do not appear.
 */
import { readFileSync } from 'node:fs'
import fastifySwagger, { type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { packageFile } from '../../files/package-files.ts'

/** Version and licence of the API are those of the package. */
const PACKAGE = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as {
  readonly version: string
  readonly license: string
}

const DOCUMENT_PATH = '/openapi.json'
const DOCS_PATH = '/docs'

/** The reference page loads what this server has, and nothing else. */
const DOCS_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  // Swagger UI sets styles on elements; they come from its own code.
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Sections of the reference page, in its order. */
const TAGS = [
  { name: 'Streams', description: 'Append-only logs of entries: append, read, trim.' },
  { name: 'Consumer groups', description: 'Entries of a stream shared out among consumers, each acknowledged once.' },
  { name: 'Topics', description: 'Publish and subscribe: messages for whoever listens at the moment.' },
  { name: 'Realtime', description: 'Channels, streams and groups as server-sent events.' },
  { name: 'Queues', description: 'Jobs on BullMQ.' },
  { name: 'Leaderboards', description: 'Members ordered by score.' },
  { name: 'Rate limits', description: 'How often something may happen.' },
  { name: 'Keys', description: 'Values with a time to live, and tags that delete many at once.' },
  { name: 'Tokens', description: 'Credentials of the HTTP doors, for administrators.' },
] as const

/** All but the operations. */
const DOCUMENT: NonNullable<FastifyDynamicSwaggerOptions['openapi']> = {
  openapi: '3.1.0',
  info: {
    title: 'Millrace HTTP API',
    version: PACKAGE.version,
    description:
      'Streams, queues, topics, leaderboards, rate limits and keys over HTTP. Conventions, errors and examples: docs/HTTP-API.md.',
    license: { name: PACKAGE.license, identifier: PACKAGE.license },
  },
  tags: [...TAGS],
  security: [{ bearer: [] }, { basic: [] }],
  components: {
    securitySchemes: {
      bearer: {
        type: 'http',
        scheme: 'bearer',
        description: 'A token (`ACL RESTTOKEN`), a JWT where they are configured, or the password of the default user.',
      },
      basic: { type: 'http', scheme: 'basic', description: 'Name and password of an ACL user.' },
    },
    schemas: {
      Problem: {
        type: 'object',
        title: 'Problem',
        description: 'Problem details (RFC 9457).',
        required: ['type', 'title', 'status', 'detail', 'requestId'],
        properties: {
          type: { type: 'string', description: '`about:blank`: the status says which kind of problem it is.' },
          title: { type: 'string', description: 'Name of the status.' },
          status: { type: 'integer', description: 'Status of the answer.' },
          detail: { type: 'string', description: 'What is wrong with this request, for people.' },
          requestId: { type: 'string', description: 'The `X-Request-Id` of the answer.' },
          code: { type: 'string', description: 'First word of an error of the engine: `NOPERM`, `WRONGTYPE` …' },
          errors: {
            type: 'array',
            description: 'Where the request does not follow its schema.',
            items: {
              type: 'object',
              properties: {
                pointer: { type: 'string', description: 'JSON pointer into the body, or into the parameters.' },
                detail: { type: 'string' },
              },
            },
          },
        },
      },
    },
  },
}

const PROBLEM_RESPONSE = {
  description: 'The request was not done; what was wrong with it.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

const METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const

/** Of an operation in the document, what is changed here. */
interface Operation {
  responses?: Record<string, unknown>
  security?: unknown
}

type PathItem = Partial<Record<(typeof METHODS)[number], Operation>>

/** Notes all routes that are added to this scope from now on, for the document. */
export async function installOpenApi(v1: FastifyInstance): Promise<void> {
  await v1.register(fastifySwagger, {
    openapi: DOCUMENT,
    transformObject: (found) => {
      if ('openapiObject' in found) addProblems(found.openapiObject.paths as Record<string, PathItem>)
      return 'openapiObject' in found ? found.openapiObject : found.swaggerObject
    },
  })
}

/** Serves the document and the page. */
export async function openApiRoutes(v1: FastifyInstance): Promise<void> {
  let document: string | null = null
  v1.get(DOCUMENT_PATH, { schema: { hide: true }, config: { isPublic: true } }, (_request, reply) => {
    // Made when it is first asked for: it takes some milliseconds, and cannot change any more.
    document ??= JSON.stringify(v1.swagger())
    reply.header('content-type', 'application/json; charset=utf-8').send(document)
  })
  await v1.register(async (scope) => {
    scope.addHook('onRoute', (route: RouteOptions) => {
      route.config = { ...route.config, isPublic: true }
    })
    await scope.register(fastifySwaggerUi, {
      routePrefix: DOCS_PATH,
      indexPrefix: v1.prefix,
      staticCSP: DOCS_POLICY,
      theme: { title: 'Millrace HTTP API' },
      uiConfig: { docExpansion: 'list', displayRequestDuration: true, persistAuthorization: false },
    })
  })
}

/** Every operation may fail in the same ways, so it is said here and not in each of them. */
function addProblems(paths: Record<string, PathItem>): void {
  for (const path of Object.values(paths)) {
    for (const method of METHODS) {
      const operation = path[method]
      if (operation === undefined) continue
      operation.responses = { ...operation.responses, default: PROBLEM_RESPONSE }
    }
  }
}
