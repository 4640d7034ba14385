/** Addresses as the transport contract has them: `ip:port`, `[ip]:port`. */

export function formatAddress(address: string | undefined, port: number | undefined): string {
  if (address === undefined) return '?:0'
  const plain = address.startsWith('::ffff:') ? address.slice(7) : address
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}
