/** The OpenAPI document, the reference page, and answers to requests that no route takes. */
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TestGateway } from '../../support/gateway.ts'

const CHROMIUM = '/usr/bin/chromium'

interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly responses: Record<string, { content?: Record<string, { schema: { $ref?: string } }> }>
}

interface Document {
  readonly openapi: string
  readonly info: { title: string; version: string }
  readonly security: unknown
  readonly tags: readonly { readonly name: string }[]
  readonly components: { securitySchemes: Record<string, { scheme: string }>; schemas: Record<string, unknown> }
  readonly paths: Record<string, Record<string, Operation>>
}

let gateway: TestGateway

beforeAll(async () => {
  gateway = await TestGateway.start()
  gateway.user('default', ['resetpass', '>secret'])
})

afterAll(() => gateway.close())

async function readDocument(): Promise<Document> {
  const response = await gateway.fetch('/v1/openapi.json')
  expect(response.status).toBe(200)
  return (await response.json()) as Document
}

function operations(document: Document): Operation[] {
  return Object.values(document.paths).flatMap((path) => Object.values(path))
}

describe('The OpenAPI document', () => {
  test('is public, of version 3.1, and names the ways to prove who one is', async () => {
    const document = await readDocument()
    expect(document.openapi).toBe('3.1.0')
    expect(document.info).toMatchObject({
      title: 'Millrace HTTP API',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    })
    expect(document.components.securitySchemes).toMatchObject({
      bearer: { type: 'http', scheme: 'bearer' },
      basic: { type: 'http', scheme: 'basic' },
    })
    expect(document.security).toEqual([{ bearer: [] }, { basic: [] }])
  })

  test('gives every operation a summary, a known tag, an ID of its own and problem details', async () => {
    const document = await readDocument()
    const found = operations(document)
    expect(found.length).toBeGreaterThan(20)
    const tags = document.tags.map((tag) => tag.name)
    for (const operation of found) {
      expect(operation.operationId, JSON.stringify(operation.summary)).toMatch(/^[a-z][A-Za-z0-9]+$/)
      expect(operation.summary?.length, operation.operationId).toBeGreaterThan(5)
      expect(tags, operation.operationId).toContain(operation.tags?.[0])
      expect(operation.responses.default?.content?.['application/problem+json']?.schema.$ref).toBe(
        '#/components/schemas/Problem',
      )
    }
    expect(new Set(found.map((operation) => operation.operationId)).size).toBe(found.length)
  })

  test('refers only to schemas that it has', async () => {
    const document = await readDocument()
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
    expect(references.length).toBeGreaterThan(0)
    for (const [, name] of references) expect(Object.keys(document.components.schemas)).toContain(name)
  })
})

describe('The reference page', () => {
  test('is public and allows nothing from other origins', async () => {
    const response = await gateway.fetch('/v1/docs/')
    expect(response.status).toBe(200)
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('upgrade-insecure-requests')
    expect(policy).not.toMatch(/https?:/)
    const script = await gateway.fetch('/v1/docs/static/swagger-ui-bundle.js')
    expect(script.status).toBe(200)
    await script.arrayBuffer()
  })

  test.skipIf(!existsSync(CHROMIUM)).each(['/v1/docs', '/v1/docs/'])(
    '%s shows the operations in a browser, without breaking its policy or asking other hosts',
    async (path) => {
      const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
      try {
        const page = await browser.newPage()
        const complaints: string[] = []
        const strangers: string[] = []
        page.on('console', (message) => {
          if (message.type() === 'error') complaints.push(message.text())
        })
        page.on('pageerror', (error) => complaints.push(error.message))
        page.on('request', (request) => {
          const { protocol, host } = new URL(request.url())
          if (protocol !== 'data:' && host !== `127.0.0.1:${gateway.port}`) strangers.push(request.url())
        })
        await page.goto(gateway.url + path, { timeout: 20_000 })
        await page.waitForSelector('.opblock', { timeout: 20_000 })
        expect(await page.locator('.info .title').innerText()).toContain('Millrace HTTP API')
        expect(complaints).toEqual([])
        expect(strangers).toEqual([])
      } finally {
        await browser.close()
      }
    },
    40_000,
  )
})

describe('A request that no route takes', () => {
  test('gets 405 and the methods that there are, where the path exists', async () => {
    const response = await gateway.fetch('/v1/openapi.json', { method: 'DELETE' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, HEAD')
    expect(await response.json()).toMatchObject({ status: 405, title: 'Method Not Allowed' })
  })

  test('gets 404 for other paths under /v1, whatever its method', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const response = await gateway.fetch('/v1/nowhere/at/all', { method, token: 'secret' })
      expect(response.status).toBe(404)
      expect(await response.json()).toMatchObject({ status: 404, detail: 'There is no such resource' })
    }
  })

  test('needs credentials like any other, so that paths cannot be probed', async () => {
    expect((await gateway.fetch('/v1/nowhere')).status).toBe(401)
    expect((await gateway.fetch('/v1/streams/orders', { method: 'PATCH' })).status).toBe(401)
  })
})
