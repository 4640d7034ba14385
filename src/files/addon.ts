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
  const { isUpToDate } = require(packageFile(`${NATIVE}/sources.cjs`)) as { isUpToDate(): boolean }
  let isCurrent = false
  try {
    isCurrent = isUpToDate()
  } catch (error) {
    throw new Error('it was not built at the installation', { cause: error })
  }
  if (!isCurrent) throw new Error('it was built from other sources (npm run install builds it)')
  return require(addonPath(name))
}
