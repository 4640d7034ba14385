/** Directives about the HTTP and WebSocket gateway. None of them exists in Redis. */
import { DirectiveFlag, int, memory, optionalText, text } from '../directive.ts'
import { INT_MAX } from '../number-text.ts'
import { addresses, wordList } from '../special-directives.ts'

const { MultiArg, Sensitive } = DirectiveFlag
const Immutable = DirectiveFlag.Immutable | DirectiveFlag.Own
const MIB = 1024 * 1024

export const gatewayDirectives = {
  'http-port': int(7379, 0n, 65535n, 'TCP port of the HTTP and WebSocket gateway. 0: no gateway.', {
    flags: Immutable,
  }),
  'http-bind': addresses(['127.0.0.1', '-::1'], 'Addresses on which the gateway listens, as for `bind`.', {
    flags: Immutable | MultiArg,
  }),
  engine: text(
    'local',
    'Where the data of the gateway is: `local`, or the URL of a Redis or Valkey: `redis://`, `rediss://`, `redis-sentinel://host:port,host:port/name`, `redis-cluster://host:port,host:port`.',
    { flags: Immutable | Sensitive },
  ),
  'http-cors-origins': wordList('Origins of web pages that may use the gateway; `*` means all.', {
    flags: Immutable | MultiArg,
  }),
  'http-body-limit': memory(
    8 * MIB,
    1024n,
    BigInt(INT_MAX),
    'Largest body of a request, and largest WebSocket message.',
    {
      flags: Immutable,
    },
  ),
  'http-rate-limit': int(
    0,
    0n,
    INT_MAX,
    'Requests a minute that one token, or one address without a token, may make. 0: no limit.',
    {
      flags: Immutable,
    },
  ),
  'http-request-timeout': int(30, 1n, 3600n, 'Time in which a request must have been received.', {
    unit: 'seconds',
    flags: Immutable,
  }),
  'http-max-connections': int(20000, 1n, INT_MAX, 'Connections that the gateway accepts at the same time.', {
    flags: Immutable,
  }),
  'http-trust-proxy': wordList('Addresses or networks of proxies whose X-Forwarded-For is believed.', {
    flags: Immutable | MultiArg,
  }),
  'http-tls-cert-file': optionalText('Certificate of the gateway: it speaks HTTPS when this is set.', {
    flags: Immutable,
  }),
  'http-tls-key-file': optionalText('Key of the certificate of the gateway.', { flags: Immutable }),
  'http-jwt-secret': optionalText('Secret with which JWTs are signed (HS256).', { flags: Immutable | Sensitive }),
  'http-jwt-public-key-file': optionalText('Public key, in PEM, with which JWTs are checked (RS256).', {
    flags: Immutable,
  }),
  'http-jwt-jwks-url': optionalText('Where the keys with which JWTs are checked are published (JWKS).', {
    flags: Immutable,
  }),
  'http-jwt-claim': text('sub', 'Claim of a JWT that names the user.', { flags: Immutable }),
  'http-jwt-issuer': optionalText('Issuer that a JWT must name. Empty: all are accepted.', { flags: Immutable }),
  'http-jwt-audience': optionalText('Audience that a JWT must name. Empty: all are accepted.', { flags: Immutable }),
}
