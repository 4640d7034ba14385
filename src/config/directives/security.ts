/** Directives about who may do what: passwords, ACL, guarded commands, TLS. */
import { bool, DirectiveFlag, inert, int, oneOf, optionalText, text, unsupported } from '../directive.ts'
import { INT_MAX, LONG_MAX } from '../number-text.ts'

const { Immutable, Own, Sensitive } = DirectiveFlag
const NO_CLIENT_TLS = 'connections to other servers are not encrypted yet'
const noPeers = unsupported(NO_CLIENT_TLS)

export const securityDirectives = {
  requirepass: optionalText('Password of the default user.', { flags: Sensitive }),
  aclfile: text('', 'File with users and their rights, relative to `dir`; instead of `user` lines.', {
    flags: Immutable,
  }),
  'acl-pubsub-default': oneOf(
    ['allchannels', 'resetchannels'],
    'resetchannels',
    'Channels that a new user may use: all or none.',
  ),
  'acllog-max-len': int(128, 0n, LONG_MAX, 'Entries that ACL LOG keeps.'),
  'http-token-file': text(
    'tokens.json',
    "File in which tokens of the HTTP doors are kept (their hashes), relative to `dir`. '': in memory only.",
    { flags: Immutable | Own, differsFromRedis: 'Redis has no HTTP doors' },
  ),
  'enable-protected-configs': oneOf(
    ['no', 'yes', 'local'],
    'no',
    'Who may change protected directives with CONFIG SET: nobody, everybody, clients on this machine.',
    { flags: Immutable },
  ),
  'enable-debug-command': oneOf(['no', 'yes', 'local'], 'no', 'Who may use DEBUG.', { flags: Immutable }),
  'enable-module-command': oneOf(['no', 'yes', 'local'], 'no', 'Who may use MODULE LOAD.', {
    flags: Immutable,
  }),

  'tls-port': int(0, 0n, 65535n, 'TCP port for TLS. 0: none.'),
  'tls-cert-file': optionalText('Certificate of the server, in PEM, with the chain that leads to its authority.'),
  'tls-key-file': optionalText('Key of the server, in PEM.'),
  'tls-key-file-pass': optionalText('Password of the key of the server.', { flags: Sensitive }),
  'tls-client-cert-file': optionalText('Certificate for connections to other servers: those of a remote engine.'),
  'tls-client-key-file': optionalText('Key for connections to other servers.'),
  'tls-client-key-file-pass': optionalText('Password of that key.', { flags: Sensitive }),
  'tls-dh-params-file': optionalText('Diffie-Hellman parameters.', {
    effect: inert('ciphers with elliptic curves are used, which need none'),
  }),
  'tls-ca-cert-file': optionalText('Certificates of trusted authorities, in one file.'),
  'tls-ca-cert-dir': optionalText('Certificates of trusted authorities, in a directory.'),
  'tls-auth-clients': oneOf(['no', 'yes', 'optional'], 'yes', 'Whether clients must show a certificate.'),
  'tls-replication': bool(false, 'TLS to the primary.', { effect: noPeers }),
  'tls-cluster': bool(false, 'TLS between the nodes of a cluster.', { effect: noPeers }),
  'tls-protocols': optionalText('Versions of TLS to accept. Default: TLSv1.2 and TLSv1.3.'),
  'tls-ciphers': optionalText('Ciphers up to TLS 1.2.'),
  'tls-ciphersuites': optionalText('Ciphers of TLS 1.3.'),
  'tls-prefer-server-ciphers': bool(false, 'Whether the order of the server decides on the cipher.'),
  'tls-session-caching': bool(true, 'Lets clients resume TLS sessions.'),
  'tls-session-cache-size': int(20480, 0n, INT_MAX, 'TLS sessions to remember.', {
    effect: inert('clients keep their sessions themselves, as tickets'),
  }),
  'tls-session-cache-timeout': int(300, 0n, INT_MAX, 'How long a TLS session can be resumed.', { unit: 'seconds' }),
}
