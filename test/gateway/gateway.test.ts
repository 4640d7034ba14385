/** The server as such: what every route has in common. */
import { afterEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../support/gateway.ts'

let gateway: TestGateway

afterEach(() => gateway.close())

describe('The gateway', () => {
  test('answers an unknown path with problem details', async () => {
    gateway = await TestGateway.start()
    const response = await gateway.fetch('/v1/nowhere/at/all')
    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(await response.json()).toMatchObject({ title: 'Not Found', status: 404 })
  })
})
