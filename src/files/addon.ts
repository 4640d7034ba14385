/** The native addons, which the installation builds where it can. Cold. */
import { createRequire } from 'node:module'
import { packageFile } from './package-files.ts'

const NATIVE = 'src/transport/native'
const require = createRequire(import.meta.url)

export type AddonName = 'epoll' | 'heap' | 'sync'

export function addonPath(name: AddonName): string {
  return packageFile(`${NATIVE}/build/Release/${name}.node`)
}

/** @throws Error that says why it cannot be had */
export function loadAddon(name: AddonName): unknown {
  checked ??= { problem: findProblem() }
  if (checked.problem !== null) throw new Error(checked.problem)
  return require(addonPath(name))
}

/** For all addons at once: their sources are read for it. */
let checked: { readonly problem: string | null } | null = null

/** Why what was built cannot be used, or null. */
function findProblem(): string | null {
  const { isUpToDate } = require(packageFile(`${NATIVE}/sources.cjs`)) as { isUpToDate(): boolean }
  try {
    return isUpToDate() ? null : 'it was built from other sources (npm run install builds it)'
  } catch {
    // There is nothing that says of which.
    return 'it was not built at the installation'
  }
}
