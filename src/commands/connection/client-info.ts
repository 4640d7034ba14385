/**
 * The line that CLIENT LIST and CLIENT INFO show of a session, and the types of clients that filters name.
 *
 * Where a field has no meaning here it says what a server without that thing says: replies have no buffer of their own
 * (`rbs`, `rbp`, `obl`, `oll` are 0), and the descriptor is the transport's (`fd`).
 * Source: Valkey src/networking.c `catClientInfoString`, `getClientType`.
 */
import { TrackingOption } from '../../pubsub/tracking.ts'
import { unknownClientType } from '../../resp/errors.ts'
import { ClientFlag, type Session } from '../session.ts'

export const ClientType = { Normal: 0, Master: 1, Replica: 2, PubSub: 3 } as const
export type ClientType = (typeof ClientType)[keyof typeof ClientType]

const TYPE_NAMES: ReadonlyMap<string, ClientType> = new Map<string, ClientType>([
  ['normal', ClientType.Normal],
  ['master', ClientType.Master],
  ['replica', ClientType.Replica],
  ['slave', ClientType.Replica],
  ['pubsub', ClientType.PubSub],
])

/** The type of a filter's argument, in any case. @throws unknownClientType */
export function clientTypeNamed(name: string): ClientType {
  const type = TYPE_NAMES.get(name.toLowerCase())
  if (type === undefined) throw unknownClientType(name)
  return type
}

export function clientType(session: Session): ClientType {
  if ((session.flags & ClientFlag.Primary) !== 0) return ClientType.Master
  if ((session.flags & ClientFlag.Replica) !== 0) return ClientType.Replica
  return session.isSubscribed ? ClientType.PubSub : ClientType.Normal
}

/** Letters of the flags, in Redis' order. A monitor counts as a replica (`O`). */
const FLAG_LETTERS: readonly (readonly [number, string])[] = [
  [ClientFlag.Replica, 'S'],
  [ClientFlag.Primary, 'M'],
  [ClientFlag.Monitor, 'O'],
  [ClientFlag.Multi, 'x'],
  [ClientFlag.Blocked | ClientFlag.Paused, 'b'],
  [ClientFlag.CloseAfterReply, 'c'],
  [ClientFlag.UnixSocket, 'U'],
  [ClientFlag.NoEvict, 'e'],
  [ClientFlag.NoTouch, 'T'],
]

/** All letters that flags may show. */
export const FLAG_ALPHABET: string = `${FLAG_LETTERS.map(([, letter]) => letter).join('')}PtRBdN`

/** All that is known about a session, in one line without its end. */
export function clientInfo(session: Session, nowMs: number): string {
  const fields = [
    `id=${session.id}`,
    `addr=${session.address}`,
    `laddr=${session.localAddress}`,
    'fd=-1',
    `name=${session.name}`,
    `age=${seconds(nowMs - session.createdMs)}`,
    `idle=${seconds(nowMs - session.lastCommandMs)}`,
    `flags=${flagLetters(session)}`,
    `db=${session.db.index}`,
    `sub=${session.channels.size}`,
    `psub=${session.patterns.size}`,
    `ssub=${session.shardChannels.size}`,
    `multi=${(session.flags & ClientFlag.Multi) === 0 ? -1 : session.queue.length}`,
    `qbuf=${session.pendingInputBytes}`,
    `qbuf-free=${session.freeInputBytes}`,
    `argv-mem=${session.argumentBytes}`,
    `multi-mem=${session.queue.argumentBytes}`,
    'rbs=0',
    'rbp=0',
    'obl=0',
    'oll=0',
    `omem=${session.pendingOutputBytes}`,
    `tot-mem=${session.memoryBytes}`,
    `events=${session.pendingOutputBytes > 0 ? 'rw' : 'r'}`,
    `cmd=${session.lastCommandName}`,
    `user=${session.user.name}`,
    `redir=${session.tracking === null ? -1 : session.tracking.redirectId}`,
    `resp=${session.respVersion}`,
    `lib-name=${session.libName}`,
    `lib-ver=${session.libVersion}`,
  ]
  return fields.join(' ')
}

function seconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1000))
}

/** The letters of a session's flags, as CLIENT LIST shows them. */
export function flagLetters(session: Session): string {
  let letters = ''
  for (const [flag, letter] of FLAG_LETTERS) {
    if ((session.flags & flag) !== 0) letters += letter
    // Subscribed, watching and tracking sessions have no flag bit; their letters stand behind O and b.
    if (letter === 'O' && session.isSubscribed) letters += 'P'
    if (letter === 'b') letters += `${trackingLetters(session)}${session.watchDirty ? 'd' : ''}`
  }
  return letters === '' ? 'N' : letters
}

function trackingLetters({ tracking }: Session): string {
  if (tracking === null) return ''
  const isBcast = (tracking.options & TrackingOption.Bcast) !== 0
  return `t${tracking.isBroken ? 'R' : ''}${isBcast ? 'B' : ''}`
}
