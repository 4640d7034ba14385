import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { TOKENS_MAX, TokenFileError, Tokens, TooManyTokensError } from '../../src/access/tokens.ts'
import { temporaryDirectory } from '../support/server-process.ts'

const NOW = 1_700_000_000_000
const FOREVER = { name: '', expiresMs: null, isReadOnly: false }

let directory: string
let path: string

beforeEach(() => {
  directory = temporaryDirectory()
  path = join(directory, 'tokens.json')
})

afterEach(() => rmSync(directory, { recursive: true }))

test('a token stands for its user until it is revoked', () => {
  const tokens = new Tokens(null)
  const { id, token } = tokens.issue('ann', { ...FOREVER, isReadOnly: true }, NOW)
  expect(token).toMatch(new RegExp(`^mr_${id}_[A-Za-z0-9_-]{43}$`))
  expect(tokens.verify(token, NOW)).toMatchObject({ id, userName: 'ann', isReadOnly: true })
  expect(tokens.revoke(id)).toBe(true)
  expect(tokens.revoke(id)).toBe(false)
  expect(tokens.verify(token, NOW)).toBeNull()
})

test('a token with another secret, or of another form, stands for nobody', () => {
  const tokens = new Tokens(null)
  const { id, token } = tokens.issue('ann', FOREVER, NOW)
  const other = tokens.issue('bob', FOREVER, NOW).token
  const secretOfOther = other.slice(other.lastIndexOf('_', 25) + 1)
  for (const wrong of [`mr_${id}_${secretOfOther}`, `mr_${id}_`, `${token}x`, ` ${token}`, `mr_${id}`, '', 'ann']) {
    expect(tokens.verify(wrong, NOW), wrong).toBeNull()
  }
  expect(tokens.verify(`mr_0000000000000000_${secretOfOther}`, NOW)).toBeNull()
})

test('a token ends at its time', () => {
  const tokens = new Tokens(null)
  const { token } = tokens.issue('ann', { ...FOREVER, expiresMs: NOW + 1000 }, NOW)
  expect(tokens.verify(token, NOW + 999)).not.toBeNull()
  expect(tokens.verify(token, NOW + 1000)).toBeNull()
})

test('all tokens of a user are revoked at once, those of others stay', () => {
  const tokens = new Tokens(null)
  tokens.issue('ann', FOREVER, NOW)
  tokens.issue('ann', { ...FOREVER, name: 'second' }, NOW)
  const { token } = tokens.issue('bob', FOREVER, NOW)
  expect(tokens.list('ann').map(({ name }) => name)).toEqual(['', 'second'])
  expect(tokens.revokeUser('ann')).toBe(2)
  expect(tokens.list(null)).toHaveLength(1)
  expect(tokens.verify(token, NOW)).not.toBeNull()
})

test('there are no more tokens than the limit; those whose time is over make room', () => {
  const tokens = new Tokens(null)
  for (let i = 0; i < TOKENS_MAX - 1; i++) tokens.issue('ann', FOREVER, NOW)
  tokens.issue('ann', { ...FOREVER, expiresMs: NOW + 10 }, NOW)
  expect(() => tokens.issue('ann', FOREVER, NOW)).toThrow(TooManyTokensError)
  tokens.issue('bob', FOREVER, NOW + 10)
  expect(tokens.count).toBe(TOKENS_MAX)
  expect(() => tokens.issue('ann', FOREVER, NOW + 10)).toThrow('there are 10000 already')
})

describe('the file', () => {
  test('is made with the first token, is for its owner only, and holds no secret', () => {
    const tokens = new Tokens(path)
    expect(existsSync(path)).toBe(false)
    const { token } = tokens.issue('\xe4nn', { ...FOREVER, name: 'phone' }, NOW)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8')).not.toContain(token.slice(-43))
    expect(readdirSync(directory)).toEqual(['tokens.json'])
    const again = new Tokens(path)
    expect(again.verify(token, NOW)).toMatchObject({ userName: '\xe4nn', name: 'phone' })
    again.revokeUser('\xe4nn')
    expect(new Tokens(path).count).toBe(0)
  })

  test.each([
    ['{', 'it is no JSON'],
    ['[]', 'it is no list of tokens'],
    ['{"version":2,"tokens":[]}', 'it is no list of tokens'],
    ['{"version":1,"tokens":[{"id":"a"}]}', 'it is no list of tokens'],
    ['', 'it is no JSON'],
  ])('that holds %s is refused', (content, reason) => {
    writeFileSync(path, content)
    expect(() => new Tokens(path)).toThrow(new TokenFileError(`Cannot read tokens from ${path}: ${reason}`))
  })

  test('that cannot be read is refused', () => {
    mkdirSync(path)
    expect(() => new Tokens(path)).toThrow(TokenFileError)
  })

  test('that cannot be written leaves the tokens as they were', () => {
    const folder = join(directory, 'gone')
    mkdirSync(folder)
    const tokens = new Tokens(join(folder, 'tokens.json'))
    const { id, token } = tokens.issue('ann', FOREVER, NOW)
    rmSync(folder, { recursive: true })
    expect(() => tokens.issue('ann', FOREVER, NOW)).toThrow(TokenFileError)
    expect(() => tokens.revoke(id)).toThrow('No such file or directory')
    expect(tokens.count).toBe(1)
    expect(tokens.verify(token, NOW)).not.toBeNull()
  })
})
