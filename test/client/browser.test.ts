/** millrace/client in Chromium, as pages load it: `/client.js`. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TestGateway } from '../support/gateway.ts'
import { TcpProxy } from './tcp-proxy.ts'

const CHROMIUM = '/usr/bin/chromium'
const LIMIT_MS = 40_000

/** Follows a stream in the page; what it sees is in `seen`, states of the client are in `states`. */
const FOLLOW = `(async () => {
  const { connect } = await import('/client.js')
  window.seen = []
  window.states = []
  window.client = connect({ url: location.origin, reconnectMinMs: 20, reconnectMaxMs: 100 })
  client.on('state', ({ state }) => states.push(state))
  await client.stream('orders', { from: '0' }, (entry) => seen.push([entry.id, entry.fields.n])).ready
})()`

describe.skipIf(!existsSync(CHROMIUM))('A page', () => {
  let gateway: TestGateway
  let network: TcpProxy
  let browser: Browser
  let page: Page

  beforeEach(async () => {
    gateway = await TestGateway.start()
    network = await TcpProxy.to(gateway.port)
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
    page = await browser.newPage()
    // Any document of the gateway's origin will do.
    await page.goto(`${network.url}/client.js`)
  }, LIMIT_MS)

  afterEach(async () => {
    await browser.close()
    await network.cut()
    await gateway.close()
  }, LIMIT_MS)

  async function append(first: number, last: number): Promise<void> {
    for (let i = first; i <= last; i++) await gateway.call('XADD', 'orders', `${i}-0`, 'n', i)
  }

  test(
    'that loses its connection comes back with every entry of a stream once and in order',
    async () => {
      await append(1, 10)
      await page.evaluate(FOLLOW)
      await page.waitForFunction('seen.length === 10')
      for (let round = 0; round < 3; round++) {
        await network.cut()
        await append(11 + round * 100, 60 + round * 100)
        await page.waitForFunction(`states.at(-1) === 'reconnecting'`)
        await network.mend()
        await append(61 + round * 100, 110 + round * 100)
      }
      await page.waitForFunction('seen.length >= 310')
      const expected = Array.from({ length: 310 }, (_, i) => [`${i + 1}-0`, String(i + 1)])
      expect(await page.evaluate('seen')).toEqual(expected)
    },
    LIMIT_MS,
  )

  test(
    'subscribes, publishes, appends, consumes and calls with a token',
    async () => {
      gateway.user('default', ['resetpass', '>secret'])
      gateway.user('ann', ['on', '+@all', '~*', '&*'])
      const result = await page.evaluate(`(async () => {
        const { connect } = await import('/client.js')
        const client = connect({ url: location.origin, token: '${gateway.tokenOf('ann')}' })
        const message = new Promise((resolve) => client.subscribe('news', resolve).then(() => client.publish('news', 'hello')))
        const id = await client.append('jobs', { task: 'mail' })
        const handled = await new Promise((resolve) => client.consume('jobs', 'g', 'page', { create: '0' }, (entry) => resolve(entry.id)))
        const reply = await client.call('ACL', 'WHOAMI')
        return { data: (await message).data, isSame: id === handled, reply }
      })()`)
      expect(result).toEqual({ data: 'hello', isSame: true, reply: 'ann' })
    },
    LIMIT_MS,
  )

  test(
    'of another origin is let in only when it brings a token',
    async () => {
      const other = await TestGateway.start()
      try {
        gateway.user('ann', ['on', '+@all', '~*', '&*'])
        await page.goto(`${other.url}/client.js`)
        const attempt = (token: string): Promise<unknown> =>
          page.evaluate(`new Promise((resolve) => {
            const socket = new WebSocket('${gateway.webSocketUrl}/v1/realtime', ${token})
            socket.onmessage = () => resolve('open')
            socket.onerror = () => resolve('refused')
          })`)
        expect(await attempt(`['millrace.v1']`)).toBe('refused')
        expect(await attempt(`['millrace.v1', 'bearer.${gateway.tokenOf('ann')}']`)).toBe('open')
      } finally {
        await other.close()
      }
    },
    LIMIT_MS,
  )
})
