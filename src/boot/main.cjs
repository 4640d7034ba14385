#!/usr/bin/env node
/**
 * Process entry: `node src/main.ts [path/to/redis.conf | -] [--directive value …]`, or a tool for data files:
 * `node src/main.ts check-aof|check-rdb|report …`. In a package it is the program `millrace`.
 *
 * This file must run on every Node, so that an old one says in one line what to do: it is plain JavaScript, of CommonJS.
 * `src/main.ts` is a link to it; Node takes the kind of a module from where the file really is.
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
  const { enableCompileCache, setSourceMapsSupport } = require('node:module')
  const { findBundle } = require('./bundle.cjs')

  // Compiled code is kept between starts: a third of the time to start (measured).
  enableCompileCache()
  const bundle = findBundle()
  // Stacks name the sources. The maps are read when the first stack is asked for.
  if (bundle !== null) setSourceMapsSupport(true, { nodeModules: true })
  // A failed start is an unhandled rejection, which ends the process with exit code 1. With import() each of the modules
  // would have its promises: a twelfth of the time to start.
  void require(bundle === null ? '../standalone/process.ts' : `${bundle}/process.js`).runProcess(process.argv.slice(2))
})()
