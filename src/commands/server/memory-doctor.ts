/** MEMORY DOCTOR: what is worth looking at, in words. Thresholds: Valkey src/object.c `getMemoryDoctorReport`. */
import type { MemoryOverview } from './memory-overview.ts'

/** Below this no ratio means anything, in bytes. */
const SMALL_BYTES = 5 * 1024 * 1024
const PEAK_RATIO_MAX = 1.5
const RSS_RATIO_MAX = 1.4
const RESERVED_RATIO_MAX = 1.1
/** What a ratio must stand for, in bytes. */
const WASTE_MIN_BYTES = 10 * 1024 * 1024
const CLIENT_BYTES_MAX = 200 * 1024
const REPLICA_BYTES_MAX = 10 * 1024 * 1024
const SCRIPTS_MAX = 1000

/** What the figures do not tell. */
export interface DoctorCounts {
  readonly clients: number
  readonly replicas: number
  readonly cachedScripts: number
}

export function memoryReport(memory: MemoryOverview, counts: DoctorCounts): string {
  const { used, peak, rss, reserved } = memory
  if (used < SMALL_BYTES) return 'There is little or no data: too little to tell anything of its memory.\n'
  const findings: string[] = []
  if (peak / used > PEAK_RATIO_MAX) {
    findings.push('Peak: much more memory was in use than is now. What is free is used again, but not given back.')
  }
  if (rss / used > RSS_RATIO_MAX && rss - used > WASTE_MIN_BYTES) {
    findings.push('Resident size: it is much greater than the memory in use. The runtime itself has a share of it.')
  }
  if (reserved / used > RESERVED_RATIO_MAX && reserved - used > WASTE_MIN_BYTES) {
    findings.push('Free blocks: much of what was taken for data is free, after a peak or after values changed in size.')
  }
  if (counts.clients > 0 && memory.clients / counts.clients > CLIENT_BYTES_MAX) {
    findings.push('Clients: their buffers are big. CLIENT LIST shows whose; `maxmemory-clients` bounds them.')
  }
  if (counts.replicas > 0 && memory.replicas / counts.replicas > REPLICA_BYTES_MAX) {
    findings.push('Replicas: they take what is sent to them too slowly.')
  }
  if (counts.cachedScripts > SCRIPTS_MAX) {
    findings.push('Scripts: many are cached. Scripts with KEYS and ARGV need one text for all their calls.')
  }
  if (findings.length === 0) return 'Nothing remarkable was found.\n'
  return `Worth a look:\n\n${findings.map((finding) => ` * ${finding}\n`).join('')}`
}
