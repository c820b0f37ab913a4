import { stat } from 'node:fs/promises'
import type { Addon, NativeMappedFile, NativeTensor } from '../native/addon.js'
import { dtypeSize } from './dtype.js'
import type { WeightTensor } from './tensors.js'

/**
 * Whether only this user (or root) can write the file: truncating a mapped file would kill the process.
 * False on Windows, where modes say nothing about that.
 */
async function isPrivate(file: string): Promise<boolean> {
  if (process.platform === 'win32') return false
  const { mode, uid } = await stat(file)
  return (mode & 0o022) === 0 && (uid === process.getuid?.() || uid === 0)
}

/** Maps a file into memory; undefined if others may write it. */
const mapPrivate = async (addon: Addon, path: string): Promise<NativeMappedFile | undefined> =>
  (await isPrivate(path)) ? addon.mapFile(path) : undefined

/** Makes zero-copy tensors of mapped files, mapping each file once. */
export class Mappings {
  private readonly files = new Map<string, NativeMappedFile | undefined>()

  constructor(private readonly addon: Addon) {}

  private async map(path: string): Promise<NativeMappedFile | undefined> {
    if (!this.files.has(path)) this.files.set(path, await mapPrivate(this.addon, path))
    return this.files.get(path)
  }

  /**
   * A view of a tensor's bytes in its file; undefined when they must be read: converted, misaligned, or in a file
   * others may write.
   */
  async view({ place, dtype, shape }: WeightTensor): Promise<NativeTensor | undefined> {
    // LibTorch expects aligned elements, but old writers did not align them.
    if (!place || place.offset % dtypeSize(dtype) !== 0) return undefined
    return (await this.map(place.path))?.tensor(place.offset, dtype, [...shape])
  }

  /** Closes the files. Views stay valid, because they hold the mapping. */
  close(): void {
    for (const file of this.files.values()) file?.close()
  }
}
