/**
 * MAXLEN and MINID: the trimming options that XADD and XTRIM share, and those of XADD alone. Hot path.
 *
 *     [KEEPREF | DELREF | ACKED] [MAXLEN | MINID] [= | ~] threshold [LIMIT count]
 *     [NOMKSTREAM] [IDMPAUTO producer | IDMP producer idempotent-id]
 *
 * Approximate trimming depends on settings and on where blocks end, so what it did is recorded as exact trimming to the
 * result. Source: Valkey src/t_stream.c streamParseAddOrTrimArgsOrReply, streamRewriteTrimArgument.
 */
import type { Journal } from '../../persistence/journal.ts'
import type { Args } from '../../resp/args.ts'
import {
  IDMP_ID_EMPTY,
  IDMP_NOT_AUTO,
  IDMP_PRODUCER_EMPTY,
  IDMP_TWICE,
  IDMPAUTO_PRODUCER_EMPTY,
  INVALID_STREAM_ID,
  MAXLEN_NEGATIVE,
  SYNTAX_ERROR,
  TRIM_LIMIT_NEGATIVE,
  TRIM_LIMIT_WITHOUT_APPROXIMATE,
  TRIM_LIMIT_WITHOUT_STRATEGY,
  TRIM_STRATEGY_MISSING,
  TRIM_STRATEGY_TWICE,
} from '../../resp/errors.ts'
import type { IdempotencyKey } from '../../structures/idempotent-ids.ts'
import { type Stream, TrimMode } from '../../structures/stream.ts'
import { IdSyntax, ParsedId, parseStreamId, StreamId } from '../../structures/stream-id.ts'
import { ReferencePolicy, trimWithReferences } from '../../structures/stream-references.ts'
import type { CommandContext } from '../context.ts'
import { contentDigest } from './content-digest.ts'
import { isPolicy, policyAt } from './delete-options.ts'
import { parseId } from './stream-access.ts'
import { recordId } from './stream-effects.ts'

const STAR = 42
const TILDE = 126
const EQUALS = 61
/** Approximate trimming removes this many full blocks at most, so that one call stays short. */
const BLOCKS_PER_TRIM = 100
const LIMIT_WITHOUT_SETTING = 10000
const LIMIT_MAX = 1000000

const Strategy = { None: 0, MaxLength: 1, MinId: 2 } as const

/** Which command's options are parsed. */
export const TrimCaller = { Xadd: 0, Xtrim: 1 } as const

/** Whether XADD names an idempotent ID, or its fields and values stand for one. */
const Idempotency = { None: 0, Given: 1, OfContent: 2 } as const

/** How XADD gives the ID. */
export const AddId = { Auto: 0, AutoSequence: 1, Given: 2 } as const

/** Parsed options. One object, reused by every call. */
export class TrimOptions {
  /** XADD: argument of the ID, and one of AddId; `id` holds what was given of it. */
  idArgument = 0
  addId: number = AddId.Auto
  readonly id: StreamId = new StreamId()
  isNoCreate = false
  private idempotency: number = Idempotency.None
  /** Argument of the producer. */
  private producerArgument = 0
  /** The idempotent ID that stands for the content, once `openKey` has made it. */
  private digest: Buffer = Buffer.alloc(0)
  mode: number = TrimMode.Exact
  private policy: ReferencePolicy = ReferencePolicy.Keep
  /** Up to where entries went, when they were looked at one by one. */
  private readonly reached = new StreamId()
  private strategy: number = Strategy.None
  private lengthMax = 0
  private readonly minId = new StreamId()
  private limit = 0
  /** Argument of the threshold; the sign, if any, stands before it. */
  private thresholdArgument = 0
  private readonly firstStored = new StreamId()

  /** Parses from argument 2 on. @throws the error of the option that is wrong */
  parse(ctx: CommandContext, args: Args, caller: number): void {
    this.isNoCreate = false
    this.idempotency = Idempotency.None
    this.policy = ReferencePolicy.Keep
    let isPolicyGiven = false
    this.strategy = Strategy.None
    this.mode = TrimMode.Exact
    this.limit = 0
    this.idArgument = args.count
    this.addId = AddId.Auto
    let isLimitGiven = false
    const isXadd = caller === TrimCaller.Xadd
    let i = 2
    for (; i < args.count; i++) {
      const hasMore = i + 1 < args.count
      if (isXadd && args.isByte(i, STAR)) {
        this.idArgument = i
        break
      }
      if (hasMore && args.is(i, 'MAXLEN')) {
        i = this.parseThreshold(args, i, Strategy.MaxLength)
      } else if (hasMore && args.is(i, 'MINID')) {
        i = this.parseThreshold(args, i, Strategy.MinId)
      } else if (hasMore && args.is(i, 'LIMIT')) {
        this.limit = args.integer(++i)
        if (this.limit < 0) throw TRIM_LIMIT_NEGATIVE
        isLimitGiven = true
      } else if (isXadd && args.is(i, 'NOMKSTREAM')) {
        this.isNoCreate = true
      } else if (isXadd && args.count - i > 2 && args.is(i, 'IDMP')) {
        i = this.parseIdempotency(args, i, Idempotency.Given)
      } else if (isXadd && hasMore && args.is(i, 'IDMPAUTO')) {
        i = this.parseIdempotency(args, i, Idempotency.OfContent)
      } else if (isPolicy(policyAt(args, i))) {
        if (isPolicyGiven) throw SYNTAX_ERROR
        isPolicyGiven = true
        this.policy = policyAt(args, i) as ReferencePolicy
      } else if (isXadd) {
        this.parseAddId(args, i)
        break
      } else {
        throw SYNTAX_ERROR
      }
    }
    if (this.limit > 0 && this.strategy === Strategy.None) throw TRIM_LIMIT_WITHOUT_STRATEGY
    if (!isXadd && this.strategy === Strategy.None) throw TRIM_STRATEGY_MISSING
    this.settleLimit(ctx, isLimitGiven)
    // What is replayed has the ID that was generated.
    if (this.isIdempotent && this.addId !== AddId.Auto && !ctx.session.isReplay) throw IDMP_NOT_AUTO
  }

  get isIdempotent(): boolean {
    return this.idempotency !== Idempotency.None
  }

  /** Points `key` to the producer and the idempotent ID of the call. */
  openKey(args: Args, key: IdempotencyKey): void {
    const producer = this.producerArgument
    key.setProducer(args.buffer, args.start(producer), args.length(producer))
    if (this.idempotency === Idempotency.OfContent) {
      this.digest = contentDigest(args, this.idArgument + 1)
      key.setId(this.digest, 0, this.digest.length)
    } else {
      key.setId(args.buffer, args.start(producer + 1), args.length(producer + 1))
    }
  }

  get isTrimming(): boolean {
    return this.strategy !== Strategy.None
  }

  get isApproximate(): boolean {
    return this.mode === TrimMode.Approximate
  }

  /** Trims the stream. Returns how many entries were removed. */
  trim(stream: Stream): number {
    if (this.policy !== ReferencePolicy.Keep) {
      const goal = { lengthMax: this.lengthMax, minId: this.strategy === Strategy.MinId ? this.minId : null }
      return trimWithReferences(stream, goal, this.policy, this.mode, this.limit, this.reached)
    }
    if (this.strategy === Strategy.MaxLength) return stream.trimByLength(this.lengthMax, this.mode, this.limit)
    return stream.trimByMinId(this.minId, this.mode, this.limit)
  }

  /** Records the command with approximate trimming made exact, and XADD's ID replaced by `id` unless that is null. */
  record(ctx: CommandContext, args: Args, stream: Stream, id: StreamId | null): void {
    const journal = ctx.journal
    if (!journal.enabled) return
    // The digest is written out: it is no part of the contract how it is made.
    const digestAt = this.idempotency === Idempotency.OfContent ? this.producerArgument : 0
    journal.begin(ctx.db.index, digestAt === 0 ? args.count : args.count + 1)
    for (let i = 0; i < args.count; i++) {
      if (digestAt !== 0 && i === digestAt - 1) journal.text('IDMP')
      else if (digestAt !== 0 && i === digestAt) {
        journal.arg(args, i)
        journal.bytes(this.digest, 0, this.digest.length)
      } else if (id !== null && i === this.idArgument) recordId(journal, id)
      else if (!this.isApproximate || i < this.thresholdArgument - 1 || i > this.thresholdArgument) journal.arg(args, i)
      else if (i === this.thresholdArgument) this.recordThreshold(journal, stream)
      else journal.text('=')
    }
  }

  private recordThreshold(journal: Journal, stream: Stream): void {
    if (this.strategy === Strategy.MaxLength) {
      journal.integer(stream.length)
      return
    }
    if (this.policy !== ReferencePolicy.Keep) {
      recordId(journal, this.reached)
      return
    }
    stream.firstStoredId(this.firstStored)
    recordId(journal, this.firstStored)
  }

  /** Returns the argument of the threshold. */
  private parseThreshold(args: Args, i: number, strategy: number): number {
    if (this.strategy !== Strategy.None) throw TRIM_STRATEGY_TWICE
    this.mode = TrimMode.Exact
    if (i + 2 < args.count) {
      if (args.isByte(i + 1, TILDE)) {
        this.mode = TrimMode.Approximate
        i++
      } else if (args.isByte(i + 1, EQUALS)) {
        i++
      }
    }
    i++
    if (strategy === Strategy.MaxLength) {
      this.lengthMax = args.integer(i)
      if (this.lengthMax < 0) throw MAXLEN_NEGATIVE
    } else {
      parseId(args, i, this.minId)
    }
    this.strategy = strategy
    this.thresholdArgument = i
    return i
  }

  /** Returns the last argument of the option. */
  private parseIdempotency(args: Args, i: number, kind: number): number {
    if (this.isIdempotent) throw IDMP_TWICE
    this.idempotency = kind
    this.producerArgument = i + 1
    const isGiven = kind === Idempotency.Given
    if (args.length(i + 1) === 0) throw isGiven ? IDMP_PRODUCER_EMPTY : IDMPAUTO_PRODUCER_EMPTY
    if (!isGiven) return i + 1
    if (args.length(i + 2) === 0) throw IDMP_ID_EMPTY
    return i + 2
  }

  private parseAddId(args: Args, i: number): void {
    const found = parseStreamId(args.buffer, args.start(i), args.length(i), this.id, IdSyntax.Add, 0)
    if (found === ParsedId.Invalid) throw INVALID_STREAM_ID
    this.addId = found === ParsedId.AutoSequence ? AddId.AutoSequence : AddId.Given
    this.idArgument = i
  }

  private settleLimit(ctx: CommandContext, isLimitGiven: boolean): void {
    if (ctx.session.isReplay) {
      // What is replayed was made exact when it was recorded; its LIMIT has been applied.
      this.limit = 0
    } else if (isLimitGiven) {
      if (!this.isApproximate) throw TRIM_LIMIT_WITHOUT_APPROXIMATE
    } else if (this.isApproximate) {
      const blockEntries = ctx.keyspace.limits.streamNodeMaxEntries
      this.limit = blockEntries > 0 ? Math.min(BLOCKS_PER_TRIM * blockEntries, LIMIT_MAX) : LIMIT_WITHOUT_SETTING
    }
  }
}
