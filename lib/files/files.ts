import { type FileHandle, stat } from 'node:fs/promises'

/** Size in bytes, or undefined when there is no such file. */
export async function fileSize(file: string): Promise<number | undefined> {
  try {
    const found = await stat(file)
    return found.isFile() ? found.size : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR')
      return undefined
    throw error
  }
}

export async function isFolder(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined))?.isDirectory() ?? false
}

/** Fills a buffer from a position of a file; throws what `cut` makes of the byte at which the file ends before. */
export async function fillBytes(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  cut: (end: number) => Error
): Promise<Uint8Array> {
  for (let done = 0; done < bytes.length; ) {
    // One read of the system takes at most 2 GiB.
    const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, 1 << 30), position + done)
    if (bytesRead === 0) throw cut(position + done)
    done += bytesRead
  }
  return bytes
}
