/** Texts that a client says about itself. Source: Valkey src/networking.c `validateClientAttr`. */

/** Whether a text can stand in CLIENT LIST, which is split at spaces and line breaks: printable ASCII, or nothing. */
export function isClientAttribute(text: string): boolean {
  return /^[!-~]*$/.test(text)
}
