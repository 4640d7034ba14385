/**
 * Process entry: `node src/main.ts [path/to/redis.conf | -] [--directive value …]`, or a tool for data files:
 * `node src/main.ts check-aof|check-rdb|report …`.
 *
 * This file must run on every Node, so that an old one says in one line what to do: it is plain JavaScript, of CommonJS.
 * `src/main.ts` and `src/boot/main.ts` are links to it; Node takes the kind of a module from where the file really is.
 * Nor is it stripped of types: nothing is cached before this file says so, and for the stripping of one file Node loads a
 * compiler, which takes 10 MB of memory and 50 ms or more (measured).
 */
;(() => {
  const MIN_MAJOR = 22
  const MIN_MINOR = 18

  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < MIN_MAJOR || (major === MIN_MAJOR && minor < MIN_MINOR)) {
    process.stderr.write(
      `Millrace needs Node ${MIN_MAJOR}.${MIN_MINOR} or newer, this is ${process.versions.node}: start it with "npm start", which uses the Node pinned in package.json\n`,
    )
    process.exit(1)
  }
  const { readFileSync } = process.getBuiltinModule('node:fs')
  const { enableCompileCache, registerHooks } = process.getBuiltinModule('node:module')
  const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url')
  const SOURCES = new URL('..', pathToFileURL(__filename)).href
  // Stripped and compiled code is kept between starts: a third of the time to start, and 27 MB less memory (measured).
  enableCompileCache()
  // Our own files name each other exactly. Node would ask the system for each of thousands of imports what its path really
  // is, and of what kind, and read files in a roundabout way: two fifths of the time to start (measured).
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
  // A failed start is an unhandled rejection, which ends the process with exit code 1. With import() each of the modules
  // would have its promises: a twelfth of the time to start.
  void require('../standalone/process.ts').runProcess(process.argv.slice(2))
})()
