import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { MactokError } from '../errors.js'
import { writeAtomically, writeFully } from '../files/atomic.js'
import { exists } from '../files/stat.js'
import { BlockCache, blockBytes } from './block-cache.js'
import type { Bytes } from './bytes.js'
import { openFileBytes } from './file-bytes.js'

/** Unpacked bytes between two checks of the cache's room. */
const roomStep = 2 ** 26

/** How often its use is noted while it is read, in milliseconds. */
const touchEvery = 3600_000

const tooLarge = ({ name }: Bytes, { limit, folder }: BlockCache) =>
  new MactokError(
    'ERR_FORMAT',
    `${name} does not fit unpacked into the ${limit} bytes of the cache in ${folder}: unpack it yourself, or raise MACTOK_DATA_CACHE (GB)`
  )

async function* chunksOf(bytes: Bytes): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.size; at += blockBytes) yield bytes.read(at, Math.min(blockBytes, bytes.size - at))
}

/**
 * Unpacks gzip into the cache, because compressed bytes cannot be read at any position. A later call finds it there, unless nothing tells
 * whether the content has changed.
 * @throws {MactokError} `ERR_FORMAT` when it is damaged, cut short, or larger than the whole cache
 */
export async function unpackGzip(packed: Bytes, cache: BlockCache): Promise<Bytes> {
  const { identity } = packed
  const name = `${BlockCache.keyOf(identity ?? randomUUID())}.unpacked`
  const path = cache.pathOf(name)
  if (await exists(path)) await cache.touch(path)
  else {
    await writeAtomically(path, async (handle) => {
      let size = 0
      let room = 0
      const sink = new Writable({
        write(chunk: Buffer, _, done) {
          const run = async () => {
            size += chunk.length
            if (size > room) {
              if (!(await cache.makeRoom(roomStep))) throw tooLarge(packed, cache)
              room += roomStep
            }
            await writeFully(handle, chunk)
          }
          run().then(() => done(), done)
        }
      })
      await pipeline(Readable.from(chunksOf(packed)), createGunzip(), sink).catch((cause) => {
        const { code, message } = cause as NodeJS.ErrnoException
        if (!code?.startsWith('Z_')) throw cause
        const problem = code === 'Z_BUF_ERROR' ? 'it was cut short' : message
        throw new MactokError('ERR_FORMAT', `${packed.name} cannot be unpacked: ${problem}`, { cause })
      })
    })
  }
  const unpacked = await openFileBytes(path)
  let used = Date.now()
  const read = async (offset: number, size: number) => {
    if (Date.now() - used > touchEvery) {
      used = Date.now()
      await cache.touch(path)
    }
    return unpacked.read(offset, size)
  }
  const close = async () => {
    await unpacked.close()
    if (identity === null) await rm(path, { force: true })
  }
  return { ...unpacked, read, close, name: packed.name, stamp: packed.stamp, identity }
}
