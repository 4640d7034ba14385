/** Manifests for tools: one that cannot be read is told to the user. */
import { systemErrorText } from '../config/system-error.ts'
import { type Manifest, ManifestError, readManifest } from '../persistence/manifest.ts'
import { ToolError } from './tool.ts'

/** Reads a manifest. @throws ToolError when it is not there, cannot be read or is malformed */
export function readExistingManifest(path: string): Manifest {
  try {
    const manifest = readManifest(path)
    if (manifest !== null) return manifest
  } catch (error) {
    if (error instanceof ManifestError) throw new ToolError(error.message)
    throw new ToolError(`Cannot read file ${path}: ${systemErrorText(error)}`)
  }
  throw new ToolError(`Cannot read file ${path}: No such file or directory`)
}
