/** Directives about connections: listening, clients, buffers, output limits. */
import {
  bool,
  DirectiveFlag,
  inert,
  int,
  later,
  memory,
  memoryOrPercent,
  octal,
  oneOf,
  optionalText,
} from '../directive.ts'
import { INT_MAX, LONG_MAX, UINT_MAX } from '../number-text.ts'
import { addresses, outputBufferLimits } from '../special-directives.ts'

const { Immutable, MultiArg, Own } = DirectiveFlag
const MIB = 1024 * 1024
const NO_THREADS = 'commands and connections share one thread; the transport reads in batches instead'

export const networkDirectives = {
  bind: addresses(
    ['*', '-::*'],
    'Addresses to listen on. An address behind `-` may be missing; `*` means all. With `protected-mode` a broker without a password answers this machine only, whatever they are.',
    { flags: MultiArg },
  ),
  port: int(6379, 0n, 65535n, 'TCP port. 0: no TCP.'),
  transport: oneOf(
    ['auto', 'native', 'node'],
    'auto',
    'How sockets are served: by epoll itself (`native`, on Linux where it was built at the installation), by node:net (`node`), or by epoll where that is possible.',
    { flags: Immutable | Own },
  ),
  'tcp-backlog': int(511, 0n, INT_MAX, 'Connections that may wait to be accepted.', { flags: Immutable }),
  unixsocket: optionalText('Path of a Unix socket to listen on.', { flags: Immutable }),
  unixsocketperm: octal(0, 0n, 0o777n, 'File mode of the Unix socket. 0: as the umask gives it.', { flags: Immutable }),
  'socket-mark-id': int(0, 0n, UINT_MAX, 'Mark (SO_MARK) for listening sockets.', {
    flags: Immutable,
    effect: later('Node cannot set this socket option'),
  }),
  'bind-source-addr': optionalText('Local address of the connection to the primary.'),
  'protected-mode': bool(
    true,
    'Refuses connections from other machines while there is neither a password nor a `bind` to chosen addresses.',
  ),
  timeout: int(0, 0n, INT_MAX, 'Closes a client that has been idle for so long. 0: never.', { unit: 'seconds' }),
  'tcp-keepalive': int(300, 0n, INT_MAX, 'Interval of TCP keepalive probes. 0: none.', { unit: 'seconds' }),
  maxclients: int(10000, 1n, UINT_MAX, 'Clients that may be connected at the same time.'),
  'proto-max-bulk-len': memory(512 * MIB, 1024n * 1024n, LONG_MAX, 'Largest single argument of a command.'),
  'client-query-buffer-limit': memory(
    1024 * MIB,
    1024n * 1024n,
    LONG_MAX,
    'Largest input that a client may have pending.',
  ),
  'client-output-buffer-limit': outputBufferLimits(
    {
      normal: { hardBytes: 0, softBytes: 0, softSeconds: 0 },
      replica: { hardBytes: 256 * MIB, softBytes: 64 * MIB, softSeconds: 60 },
      pubsub: { hardBytes: 32 * MIB, softBytes: 8 * MIB, softSeconds: 60 },
    },
    'Closes a client whose pending output exceeds the hard limit, or the soft limit for so many seconds. 0: no limit.',
    { flags: MultiArg },
  ),
  'maxmemory-clients': memoryOrPercent(
    0,
    100,
    'Memory for all clients together, in bytes or percent of `maxmemory`: above it the greatest are closed. 0: no limit.',
  ),
  'tracking-table-max-keys': int(
    1000000,
    0n,
    LONG_MAX,
    'Keys that client-side caching remembers at most. 0: no limit.',
  ),
  'io-threads': int(1, 1n, 128n, 'Threads for reading and writing.', { flags: Immutable, effect: inert(NO_THREADS) }),
  'io-threads-do-reads': bool(false, 'Whether I/O threads read too.', {
    flags: Immutable,
    effect: inert(NO_THREADS),
  }),
}
