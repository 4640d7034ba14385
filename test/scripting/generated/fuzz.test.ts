/**
 * Hostile programs find no crash, no hang and no way out of the sandbox.
 *
 * MILLRACE_FUZZ sets the number of programs, MILLRACE_SEED repeats a run.
 */
import { expect, test } from 'vitest'
import { LuaCompileError } from '../../../src/scripting/lua/lexer.ts'
import { parseChunk } from '../../../src/scripting/lua/parser.ts'
import { isWalkable } from '../../../src/scripting/lua/walk.ts'
import { Random } from '../../differential/random.ts'
import { Fuzzer } from './fuzz.ts'
import { hostileProgram } from './hostile.ts'

const COUNT = Number(process.env.MILLRACE_FUZZ ?? 4000)
/** CI repeats one run, so that a change is judged by itself; everywhere else each run is another one. */
const CI_SEED = 20_261
const SEED = Number(process.env.MILLRACE_SEED ?? (process.env.CI === undefined ? Date.now() % 1_000_000_007 : CI_SEED))

test(
  `${COUNT} hostile programs find no crash, no hang and no escape, seed ${SEED}`,
  () => {
    const fuzzer = new Fuzzer()
    const found: string[] = []
    for (let i = 0; i < COUNT && found.length < 5; i++) {
      const program = hostileProgram(new Random(SEED + i * 7919))
      const problem = fuzzer.run(program)
      if (problem !== null) found.push(`${problem}\n${program}`)
    }
    expect(found).toEqual([])
  },
  COUNT * 10 + 30_000,
)

test('one hostile program in ten is walked at least', () => {
  let walked = 0
  for (let i = 0; i < 1000; i++) {
    const program = hostileProgram(new Random(i * 7919))
    try {
      if (isWalkable(parseChunk(program, 'x'))) walked++
    } catch (error) {
      expect(error).toBeInstanceOf(LuaCompileError)
    }
  }
  expect(walked).toBeGreaterThan(100)
})

test('the detector sees what it looks for', () => {
  const fuzzer = new Fuzzer()
  expect(fuzzer.run('return "x is not a function"')).toContain('replied')
  Reflect.set(globalThis, 'millraceCanary', 1)
  expect(fuzzer.run('return 1')).toContain('changed')
  Reflect.deleteProperty(globalThis, 'millraceCanary')
  expect(fuzzer.run('return 1')).toBeNull()
})
