/**
 * `proc-title-template`: the title under which the process stands in lists of processes.
 * Source: Valkey src/server.c, sds.c `sdstemplate`.
 */

/** What the variables of a template stand for. */
export type TitleVariables = Readonly<
  Record<'title' | 'listen-addr' | 'server-mode' | 'config-file' | 'port' | 'tls-port' | 'unixsocket', string>
>

/** For the check of a template: the variables that are never empty have some text. */
const EXAMPLE: TitleVariables = {
  title: '',
  'listen-addr': 'x',
  'server-mode': '',
  'config-file': 'x',
  port: 'x',
  'tls-port': 'x',
  unixsocket: '',
}

/** A template with its variables filled in (`{{` is a brace), or null when it names one that there is not. */
export function expandTitle(template: string, variables: TitleVariables): string | null {
  let isKnown = true
  const expanded = template.replaceAll(/\{(?:\{|([^}]*)(\}?))/g, (whole, name: string | undefined, close: string) => {
    if (whole === '{{') return '{'
    if (close !== '' && name !== undefined && isVariable(name)) return variables[name]
    isKnown = false
    return ''
  })
  return isKnown ? expanded.trim() : null
}

/** The reason to refuse a template, or null. */
export function refuseTitleTemplate(template: string): string | null {
  const expanded = expandTitle(template, EXAMPLE)
  return expanded === null || expanded === '' ? 'template format is invalid or contains unknown variables' : null
}

function isVariable(name: string): name is keyof TitleVariables {
  return Object.hasOwn(EXAMPLE, name)
}
