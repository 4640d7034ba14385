/**
 * Makes Node load our own modules quickly, in the thread that requires this file: once, before the first of them.
 *
 * Stripped and compiled code is kept between starts: a third of the time to start, and 27 MB less memory (measured). So
 * this file is no TypeScript itself: to strip it, Node would load a compiler that takes 10 MB.
 *
 * Our own files name each other exactly. Node would ask the system for each of thousands of imports what its path really
 * is, and of what kind, and read files in a roundabout way: two fifths of the time to start (measured).
 */
const { readFileSync } = require('node:fs')
const { enableCompileCache, registerHooks } = require('node:module')
const { fileURLToPath, pathToFileURL } = require('node:url')

/** Before, Node gains little by these hooks, and loads nothing where others have registered asynchronous ones as well. */
const MIN_MAJOR_FOR_HOOKS = 26

const SOURCES = new URL('..', pathToFileURL(__filename)).href

enableCompileCache()

if (Number.parseInt(process.versions.node, 10) >= MIN_MAJOR_FOR_HOOKS) {
  registerHooks({
    resolve(specifier, context, next) {
      const isOurs =
        specifier.endsWith('.ts') && specifier.startsWith('.') && context.parentURL?.startsWith(SOURCES) === true
      if (!isOurs) return next(specifier, context)
      return { url: new URL(specifier, context.parentURL).href, format: 'module-typescript', shortCircuit: true }
    },
    load(url, context, next) {
      if (context.format !== 'module-typescript') return next(url, context)
      return { format: 'module-typescript', source: readFileSync(fileURLToPath(url), 'utf8'), shortCircuit: true }
    },
  })
}
