/**
 * PFSELFTEST
 *
 * Tests the registers of dense HyperLogLogs against plain bytes, and that dense and sparse ones with the same ten million
 * elements agree and are not too far off. It takes seconds, during which nothing else is answered.
 *
 * Reply: OK. Errors: TESTFAILED.
 * Source: Valkey src/hyperloglog.c `pfselftestCommand`.
 */
import type { Args } from '../../resp/args.ts'
import {
  TEST_DENSE_AND_SPARSE_DISAGREE,
  TEST_SPARSE_NOT_USED,
  testEstimateFailed,
  testRegisterFailed,
} from '../../resp/errors.ts'
import type { ReplySink } from '../../resp/reply.ts'
import { emptyHyperLogLog, HyperLogLog, REGISTERS } from '../../structures/hyperloglog.ts'
import type { CommandContext } from '../context.ts'
import { AclCategory, CommandFlag, defineCommand } from '../define.ts'

const REGISTER_CYCLES = 1000
const REGISTER_VALUES = 64
const ELEMENTS = 10_000_000
const ELEMENT_BYTES = 8
/** Standard error of an estimate, in parts of it. */
const STANDARD_ERROR = 1.04 / Math.sqrt(REGISTERS)
/** How many standard errors are tolerated. */
const ERRORS_MAX = 6

export const pfselftest = defineCommand({
  name: 'pfselftest',
  summary: 'Tests the implementation of HyperLogLogs; it takes seconds.',
  group: 'hyperloglog',
  since: '2.8.9',
  complexity: 'O(N), N being a great number of elements.',
  arity: 1,
  flags: CommandFlag.Admin,
  categories: AclCategory.HyperLogLog,
  handler: pfselftestHandler,
})

function pfselftestHandler(ctx: CommandContext, _args: Args, reply: ReplySink): void {
  const dense = createUnderTest(ctx)
  const sparse = createUnderTest(ctx)
  try {
    dense.makeDense()
    testRegisters(ctx, dense)
    for (let i = 0; i < REGISTERS; i++) dense.setDenseRegister(i, 0)
    testEstimates(ctx, dense, sparse)
  } finally {
    ctx.arena.free(dense.ref)
    ctx.arena.free(sparse.ref)
  }
  reply.ok()
}

function createUnderTest(ctx: CommandContext): HyperLogLog {
  const hll = new HyperLogLog(ctx.arena)
  hll.open(emptyHyperLogLog(ctx.arena), ctx.keyspace.limits.hllSparseMaxBytes)
  return hll
}

/** Writing a register changes it and no other one. */
function testRegisters(ctx: CommandContext, dense: HyperLogLog): void {
  const values = new Uint8Array(REGISTERS)
  for (let cycle = 0; cycle < REGISTER_CYCLES; cycle++) {
    for (let i = 0; i < REGISTERS; i++) {
      values[i] = ctx.random() * REGISTER_VALUES
      dense.setDenseRegister(i, values[i]!)
    }
    for (let i = 0; i < REGISTERS; i++) {
      if (dense.denseRegister(i) !== values[i]) throw testRegisterFailed(i, values[i]!, dense.denseRegister(i))
    }
  }
}

/** At each power of ten both estimates are looked at. */
function testEstimates(ctx: CommandContext, dense: HyperLogLog, sparse: HyperLogLog): void {
  const element = Buffer.alloc(ELEMENT_BYTES)
  const seed = Math.floor(ctx.random() * 2 ** 32)
  element.writeUInt32LE(Math.floor(ctx.random() * 2 ** 32), 4)
  let checkpoint = 1
  for (let i = 1; i <= ELEMENTS; i++) {
    element.writeInt32LE(i ^ seed, 0)
    dense.add(element, 0, ELEMENT_BYTES)
    sparse.add(element, 0, ELEMENT_BYTES)
    if (i !== checkpoint) continue
    if (i < ctx.keyspace.limits.hllSparseMaxBytes / 2 && !sparse.isSparse) throw TEST_SPARSE_NOT_USED
    const count = dense.count()
    if (count !== sparse.count()) throw TEST_DENSE_AND_SPARSE_DISAGREE
    const error = Math.abs(checkpoint - count)
    // At ten, one collision alone may exceed what is tolerated.
    const errorMax = i === 10 ? 1 : Math.ceil(STANDARD_ERROR * ERRORS_MAX * checkpoint)
    if (error > errorMax) throw testEstimateFailed(checkpoint, error)
    checkpoint *= 10
  }
}
