/** The first line of a script that says how it is to be run: `#!lua flags=no-writes`. Source: Redis src/eval.c. */

export const ScriptFlag = {
  NoWrites: 1 << 0,
  AllowOom: 1 << 1,
  AllowStale: 1 << 2,
  NoCluster: 1 << 3,
  AllowCrossSlotKeys: 1 << 4,
} as const

/** Redis' flags by their names, in Redis' order. */
export const SCRIPT_FLAG_BITS: ReadonlyMap<string, number> = new Map([
  ['no-writes', ScriptFlag.NoWrites],
  ['allow-oom', ScriptFlag.AllowOom],
  ['allow-stale', ScriptFlag.AllowStale],
  ['no-cluster', ScriptFlag.NoCluster],
  ['allow-cross-slot-keys', ScriptFlag.AllowCrossSlotKeys],
])

const SHEBANG_FLAG_BITS = new Map<string, number>([
  ...SCRIPT_FLAG_BITS,
  // Upstash's: the script may run beside others that have other keys. Scripts run one by one here, which is stricter.
  // The scripts of @upstash/ratelimit have it.
  ['allow-key-locking', 0],
])

/** A malformed shebang; `message` is the error's text after `ERR `. */
export class ShebangError extends Error {}

export interface Shebang {
  /** Bits of ScriptFlag, or null when there is no shebang. */
  readonly flags: number | null
  /** The script to compile: the shebang is cut out, its line break stays, so that line numbers hold. */
  readonly body: string
}

/** Reads the shebang of a script. Throws `ShebangError`. */
export function parseShebang(source: string): Shebang {
  if (!source.startsWith('#!')) return { flags: null, body: source }
  const end = source.indexOf('\n')
  if (end < 0) throw new ShebangError('Invalid script shebang')
  const words = source
    .slice(0, end)
    .split(/[ \t\r]+/)
    .filter((word) => word !== '')
  if (words[0] !== '#!lua') throw new ShebangError(`Unexpected engine in script shebang: ${words[0]}`)
  let flags = 0
  for (const word of words.slice(1)) {
    if (!word.startsWith('flags=')) throw new ShebangError(`Unknown lua shebang option: ${word}`)
    const list = word.slice('flags='.length)
    for (const name of list === '' ? [] : list.split(',')) {
      const bit = SHEBANG_FLAG_BITS.get(name)
      if (bit === undefined) throw new ShebangError(`Unexpected flag in script shebang: ${name}`)
      flags |= bit
    }
  }
  return { flags, body: source.slice(end) }
}
