import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { configurationPage } from '../../docs/generate-configuration.ts'
import { directives } from '../../src/config/directives.ts'

test('docs/CONFIGURATION.md is what the table of directives generates', () => {
  const page = readFileSync(new URL('../../docs/CONFIGURATION.md', import.meta.url), 'utf8')
  expect(page).toBe(configurationPage())
})

test('the page names every directive', () => {
  const page = configurationPage()
  for (const name of Object.keys(directives)) expect(page).toContain(`| \`${name}\` |`)
})
