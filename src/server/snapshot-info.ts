/** What every file of a snapshot says of where it comes from. */
import { existingScriptRunner } from '../commands/scripting/script-runner.ts'
import type { SnapshotInfo } from '../persistence/snapshot-format.ts'
import type { Server } from './server.ts'

export const SnapshotPurpose = { Dump: 0, AofBase: 1 } as const
export type SnapshotPurpose = (typeof SnapshotPurpose)[keyof typeof SnapshotPurpose]

export function snapshotInfo({ keyspace, memory, ctx }: Server, purpose: SnapshotPurpose): SnapshotInfo {
  const functions = existingScriptRunner(ctx)?.functions.sources() ?? []
  return {
    nowMs: keyspace.now,
    usedMemory: memory.usedBytes,
    isAofBase: purpose === SnapshotPurpose.AofBase,
    functions,
  }
}
