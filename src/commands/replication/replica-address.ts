/** Where a replica is to be reached. */
import type { AttachedReplica } from './control.ts'

/** The address that the replica has told, else that of its connection. */
export function replicaAddress({ session, replica }: AttachedReplica): string {
  return replica.address === '' ? hostOf(session.address) : replica.address
}

/** `ip:port`, `[ip]:port` or `path:0` without what stands behind the last colon. */
function hostOf(address: string): string {
  const host = address.slice(0, address.lastIndexOf(':'))
  return host.startsWith('[') ? host.slice(1, -1) : host
}
