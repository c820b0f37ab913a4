import { stat } from 'node:fs/promises'
import type { Addon, NativeMappedFile, NativeTensor } from '../native/addon.js'
import { dtypeSize } from './dtype.js'
import type { WeightTensor } from './tensors.js'

/**
 * Whether nobody but this user can change the file: a mapped file that another cuts short would end the process.
 * On Windows, where modes do not tell, files are read.
 */
async function isPrivate(file: string): Promise<boolean> {
  if (process.platform === 'win32') return false
  const { mode, uid } = await stat(file)
  return (mode & 0o022) === 0 && (uid === process.getuid?.() || uid === 0)
}

/** A file mapped into memory; undefined where others may write it. */
export const mapPrivate = async (addon: Pick<Addon, 'mapFile'>, path: string): Promise<NativeMappedFile | undefined> =>
  (await isPrivate(path)) ? addon.mapFile(path) : undefined

/** Zero-copy tensors on mapped files, each file mapped once. */
export class Mappings {
  private readonly files = new Map<string, NativeMappedFile | undefined>()

  constructor(private readonly addon: Addon) {}

  private async file(path: string): Promise<NativeMappedFile | undefined> {
    if (!this.files.has(path)) this.files.set(path, await mapPrivate(this.addon, path))
    return this.files.get(path)
  }

  /** A view of the tensor's bytes in their file; undefined when they are not there as they are, or others may write it. */
  async view({ place, dtype, shape }: WeightTensor): Promise<NativeTensor | undefined> {
    // LibTorch expects elements at multiples of their size; old writers did not care.
    if (!place || place.offset % dtypeSize(dtype) !== 0) return undefined
    return (await this.file(place.path))?.tensor(place.offset, dtype, [...shape])
  }

  /** The views stay valid: they hold the mapping. */
  close(): void {
    for (const file of this.files.values()) file?.close()
  }
}
