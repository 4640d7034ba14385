/**
 * Validation of requests by JSON Schema: bodies are taken as they are (unknown members and wrong types are errors), while
 * parameters of paths and queries, which are texts, are converted to the type that the schema names.
 *
 * Bodies are JSON in UTF-8. What is no UTF-8 is refused: replaced characters would be stored as if they had been meant.
 */
import { isUtf8 } from 'node:buffer'
import { Ajv, type ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import type { FastifyInstance, FastifySchemaValidationError } from 'fastify'
import type { FastifyValidationResult } from 'fastify/types/schema.js'
import { Problem } from './problem.ts'

/** Errors that are reported for one request. */
const OPTIONS = { allErrors: false, useDefaults: true, removeAdditional: false, strict: true } as const

export function installValidation(app: FastifyInstance): void {
  const bodies = new Ajv({ ...OPTIONS, coerceTypes: false })
  const texts = new Ajv({ ...OPTIONS, coerceTypes: 'array' })
  for (const ajv of [bodies, texts]) ajvFormats.default(ajv)
  readBodies(app)
  app.setValidatorCompiler(({ schema, httpPart }) => lazily(httpPart === 'body' ? bodies : texts, schema as object))
}

/**
 * Compiles a schema when the first value is to be checked: with over a hundred routes, most of which a gateway never
 * serves, that was two thirds of the time it took to start.
 */
export function lazily(ajv: Ajv, schema: object): FastifyValidationResult {
  let compiled: ValidateFunction | null = null
  const validate: FastifyValidationResult = (body: unknown) => {
    compiled ??= ajv.compile(schema)
    const isValid = compiled(body)
    validate.errors = (compiled.errors ?? null) as FastifySchemaValidationError[] | null
    return isValid
  }
  return validate
}

function readBodies(app: FastifyInstance): void {
  // Members like __proto__ are errors, not left out.
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (isUtf8(body)) parse(request, body.toString('utf8'), done)
    else done(new Problem(400, 'The body is no valid UTF-8'))
  })
  app.removeContentTypeParser('text/plain')
}
