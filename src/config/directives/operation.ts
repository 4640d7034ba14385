/** Directives about running the server: process, logs, timing, scripts, monitoring, shutdown. */
import { anyOf, bool, DirectiveFlag, inert, int, later, oneOf, optionalText, text, unsupported } from '../directive.ts'
import { INT_MAX, LONG_MAX } from '../number-text.ts'
import { refuseTitleTemplate } from '../process-title.ts'
import { keyspaceEvents, oomScoreMode, oomScores, percentiles } from '../special-directives.ts'
import { RELEASES } from '../version.ts'

const { Hidden, Immutable, MultiArg, Own } = DirectiveFlag
const HZ_MIN = 1
const HZ_MAX = 500
const NO_SYSLOG = 'logs go to stdout or to `logfile`; both can be sent to syslog from there'
const NO_CPU_LIST = 'use taskset or the service manager to choose processors'
const NO_MEMCHECK = 'memory is not tested'
const NO_OOM_SCORE = 'use the service manager to set the score of the process'

function refuseSaveAndNosave(value: readonly string[]): string | null {
  const isBoth = value.includes('save') && value.includes('nosave')
  return isBoth ? "shutdown options SAVE and NOSAVE can't be used simultaneously" : null
}

export const operationDirectives = {
  databases: int(16, 1n, INT_MAX, 'How many databases there are.', { flags: Immutable }),
  daemonize: bool(false, 'Runs in the background.', {
    flags: Immutable,
    effect: unsupported('it cannot put itself into the background: use a process manager'),
  }),
  'redis-compatibility': oneOf(
    RELEASES,
    '7.0',
    'Which release of Redis is followed where the two differ in what clients may rely on: names of encodings of short lists and small sets, blocking commands in scripts (refused by 7.0), and which keys of a script client-side caching remembers (7.0: all that it names). Commands of 7.2 and later are there with both.',
    { flags: Immutable | Own },
  ),
  supervised: oneOf(['upstart', 'systemd', 'auto', 'no'], 'no', 'Tells the service manager when it is ready.', {
    flags: Immutable,
    effect: later('the service manager is not told; use `Type=exec` with systemd'),
    neutral: ['auto'],
  }),
  pidfile: optionalText('File for the process ID.', { flags: Immutable }),
  loglevel: oneOf(['debug', 'verbose', 'notice', 'warning', 'nothing'], 'notice', 'The least important logs to write.'),
  logfile: text('', 'File for logs. Empty: standard output.', { flags: Immutable }),
  'syslog-enabled': bool(false, 'Sends logs to syslog.', { flags: Immutable, effect: later(NO_SYSLOG) }),
  'syslog-ident': text('redis', 'Name in syslog.', { flags: Immutable, effect: later(NO_SYSLOG) }),
  'syslog-facility': oneOf(
    ['user', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
    'local0',
    'Facility in syslog.',
    { flags: Immutable, effect: later(NO_SYSLOG) },
  ),
  'crash-log-enabled': bool(true, 'Writes a report to the log when the server crashes, or gets SIGABRT.'),
  'crash-memcheck-enabled': bool(true, 'Tests the memory when the server crashes.', { effect: inert(NO_MEMCHECK) }),
  'watchdog-period': int(0, 0n, INT_MAX, 'Logs what held up the server for so long.', {
    unit: 'milliseconds',
    flags: Hidden,
    effect: later('there is no watchdog yet'),
  }),
  'always-show-logo': bool(false, 'Prints the logo at start.', {
    flags: Immutable,
    effect: inert('there is no logo'),
  }),
  'set-proc-title': bool(true, 'Gives the process of a standalone server the title of `proc-title-template`.', {
    flags: Immutable,
  }),
  'proc-title-template': text(
    '{title} {listen-addr} {server-mode}',
    'Title of the process, with the variables `{title}` (millrace), `{listen-addr}`, `{server-mode}`, `{port}`, `{tls-port}`, `{unixsocket}` and `{config-file}`. On Linux it is cut to the length of the command line.',
    { check: refuseTitleTemplate },
  ),
  'locale-collate': text('', 'Locale in which SORT ALPHA compares.', {
    effect: later('SORT ALPHA compares bytes'),
    neutral: ['C', 'POSIX'],
  }),
  'ignore-warnings': text('', 'Checks of the system whose failure does not end the start.', {
    effect: inert('there are no such checks'),
  }),

  hz: int(10, 0n, INT_MAX, 'How often background work runs, from 1 to 500; other values are brought into range.', {
    unit: 'times per second',
    clamp: (value) => Math.min(Math.max(value, HZ_MIN), HZ_MAX),
    effect: inert('background work runs when it is due; INFO shows the number'),
  }),
  'dynamic-hz': bool(true, 'Raises `hz` with the number of clients.', {
    effect: inert('clients are watched by ordered lists, so their number does not matter'),
  }),
  'busy-reply-threshold': int(5000, 0n, LONG_MAX, 'After how long a script makes the server answer BUSY. 0: never.', {
    alias: 'lua-time-limit',
    unit: 'milliseconds',
  }),
  'notify-keyspace-events': keyspaceEvents('Which changes of keys are published. Empty: none.'),
  'slowlog-log-slower-than': int(10000, -1n, LONG_MAX, 'Commands as slow as this enter SLOWLOG. -1: none.', {
    unit: 'microseconds',
  }),
  'slowlog-entry-max-argc': int(
    32,
    2n,
    INT_MAX,
    'Arguments that an entry of SLOWLOG keeps; the last one says how many more there were.',
    { flags: Own },
  ),
  'slowlog-entry-max-string-len': int(128, 1n, INT_MAX, 'Bytes of an argument that an entry of SLOWLOG keeps.', {
    flags: Own,
    unit: 'bytes',
  }),
  'slowlog-max-len': int(128, 0n, LONG_MAX, 'Entries that SLOWLOG keeps.'),
  'latency-monitor-threshold': int(0, 0n, LONG_MAX, 'Delays as long as this enter LATENCY. 0: none.', {
    unit: 'milliseconds',
  }),
  'latency-tracking': bool(true, 'Keeps how long each command takes, for `INFO latencystats` and `LATENCY HISTOGRAM`.'),
  'latency-tracking-info-percentiles': percentiles([50, 99, 99.9], 'Percentiles that INFO shows.', {
    flags: MultiArg,
  }),

  'shutdown-timeout': int(10, 0n, INT_MAX, 'How long a shutdown waits for replicas.', {
    unit: 'seconds',
  }),
  'shutdown-on-sigint': anyOf(['default', 'save', 'nosave', 'now', 'force'], 'How SIGINT ends the server.', {
    flags: MultiArg,
    check: refuseSaveAndNosave,
  }),
  'shutdown-on-sigterm': anyOf(['default', 'save', 'nosave', 'now', 'force'], 'How SIGTERM ends the server.', {
    flags: MultiArg,
    check: refuseSaveAndNosave,
  }),

  'oom-score-adj': oomScoreMode('Whether the score for the out-of-memory killer is set.', {
    effect: later(NO_OOM_SCORE),
  }),
  'oom-score-adj-values': oomScores([0, 200, 800], 'Scores of primary, replica and child.', {
    flags: MultiArg,
    effect: inert(NO_OOM_SCORE),
  }),
  server_cpulist: optionalText('Processors for the main thread.', { flags: Immutable, effect: inert(NO_CPU_LIST) }),
  bio_cpulist: optionalText('Processors for background threads.', { flags: Immutable, effect: inert(NO_CPU_LIST) }),
  aof_rewrite_cpulist: optionalText('Processors for rewriting the append-only file.', {
    flags: Immutable,
    effect: inert(NO_CPU_LIST),
  }),
  bgsave_cpulist: optionalText('Processors for snapshots.', { flags: Immutable, effect: inert(NO_CPU_LIST) }),
}
