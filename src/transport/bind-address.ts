/** Addresses as the directives `bind` and `http-bind` name them. Cold. */

export interface BindAddress {
  /** As it is named, without the `-`. */
  readonly name: string
  /** What to listen on: `*` and `::*` stand for all addresses. */
  readonly host: string
  /** A `-` stood in front of it: go on without it when it does not exist here. */
  readonly isOptional: boolean
}

export function parseBindAddress(text: string): BindAddress {
  const isOptional = text.startsWith('-')
  const name = isOptional ? text.slice(1) : text
  return { name, host: name === '*' ? '0.0.0.0' : name === '::*' ? '::' : name, isOptional }
}

/** Whether listening failed because this machine has no such address. */
export function isMissingAddress(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
}
