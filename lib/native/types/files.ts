/** Tensors mapped from files, archives of torch.save, and resampling of images. */

import type { NativeTensor } from './tensor.js'

export interface NativeMappedFile {
  readonly size: number
  /** A zero-copy view of bytes [offset, offset + length) as a tensor; the mapping lives as long as its views. */
  tensor(offset: number, dtype: string, shape: number[]): NativeTensor
  /**
   * Reads pieces of `length` bytes from `offsets` of the file to `positions` of the destination, on libuv's threads; rejects where the
   * file is shorter by now. Until the promise settles, the destination must not be transferred or detached.
   */
  gather(offsets: number[], positions: number[], length: number, destination: Uint8Array): Promise<void>
  close(): void
}

/** Records by name, without the archive's prefix, and the places of their bytes in the file. */
export interface NativeTorchArchive {
  records: { name: string; offset: number; size: number }[]
  pickle: Uint8Array
}

/** A window of an image scaled to width × height. */
export interface NativeResample {
  filter: 'box' | 'bicubic'
  width: number
  height: number
  left: number
  top: number
  windowWidth: number
  windowHeight: number
  /** Flip the window horizontally. */
  mirror: boolean
}

export interface FileFunctions {
  mapFile(path: string): NativeMappedFile
  /** The records of a file in `torch.save`'s zip format, and its `data.pkl` of at most `maxPickle` bytes. */
  readTorchArchive(path: string, maxPickle: number): Promise<NativeTorchArchive>
  /**
   * Antialiased resampling of uint8 [height, width, 3] into [windowHeight, windowWidth, 3], bit-identical to Pillow's, on libuv's
   * threads. Neither array is copied: until the promise settles they must not be written, transferred or detached.
   */
  resample(
    source: Uint8Array,
    width: number,
    height: number,
    target: NativeResample,
    destination: Uint8Array
  ): Promise<void>
}
