/**
 * Validation of requests by JSON Schema: bodies are taken as they are (unknown members and wrong types are errors), while
 * parameters of paths and queries, which are texts, are converted to the type that the schema names.
 */
import { Ajv } from 'ajv'
import ajvFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'

/** Errors that are reported for one request. */
const OPTIONS = { allErrors: false, useDefaults: true, removeAdditional: false, strict: true } as const

export function installValidation(app: FastifyInstance): void {
  const bodies = new Ajv({ ...OPTIONS, coerceTypes: false })
  const texts = new Ajv({ ...OPTIONS, coerceTypes: 'array' })
  for (const ajv of [bodies, texts]) ajvFormats.default(ajv)
  app.setValidatorCompiler(({ schema, httpPart }) => (httpPart === 'body' ? bodies : texts).compile(schema as object))
}
