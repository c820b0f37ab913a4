import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { unzip } from '../../lib/setup/unzip.mjs'
import { freshFolder } from './fresh-folder.js'

interface Entry {
  name: string
  data: Buffer
  stored?: boolean
  mode?: number
}

/** A zip archive by the format's specification (APPNOTE 6.3); `zip64` writes every size and offset into the extra field. */
function zip(entries: Entry[], { zip64 = false } = {}): Buffer {
  const files: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data, stored = false, mode = 0o644 } of entries) {
    const packed = stored ? data : deflateRawSync(data)
    const title = Buffer.from(name)
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50, 0)
    local.writeUInt16LE(stored ? 0 : 8, 8)
    local.writeUInt16LE(title.length, 26)

    const extra = Buffer.alloc(zip64 ? 28 : 0)
    if (zip64) {
      extra.writeUInt16LE(1, 0)
      extra.writeUInt16LE(24, 2)
      for (const [i, value] of [data.length, packed.length, offset].entries())
        extra.writeBigUInt64LE(BigInt(value), 4 + 8 * i)
    }
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50, 0)
    central.writeUInt16LE(stored ? 0 : 8, 10)
    central.writeUInt32LE(zip64 ? 0xffffffff : packed.length, 20)
    central.writeUInt32LE(zip64 ? 0xffffffff : data.length, 24)
    central.writeUInt16LE(title.length, 28)
    central.writeUInt16LE(extra.length, 30)
    central.writeUInt32LE((mode << 16) >>> 0, 38)
    central.writeUInt32LE(zip64 ? 0xffffffff : offset, 42)
    files.push(local, title, packed)
    directory.push(central, title, extra)
    offset += local.length + title.length + packed.length
  }
  const listing = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(zip64 ? 0xffff : entries.length, 10)
  end.writeUInt32LE(zip64 ? 0xffffffff : listing.length, 12)
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16)
  const end64 = Buffer.alloc(zip64 ? 56 + 20 : 0)
  if (zip64) {
    end64.writeUInt32LE(0x06064b50, 0)
    end64.writeBigUInt64LE(BigInt(entries.length), 32)
    end64.writeBigUInt64LE(BigInt(listing.length), 40)
    end64.writeBigUInt64LE(BigInt(offset), 48)
    end64.writeUInt32LE(0x07064b50, 56)
    end64.writeBigUInt64LE(BigInt(offset + listing.length), 64)
  }
  return Buffer.concat([...files, listing, end64, end])
}

let folder: string
let archive: string

freshFolder((fresh) => {
  folder = fresh
  archive = join(folder, 'a.whl')
})

const library = Buffer.from('library '.repeat(50_000))
const entries: Entry[] = [
  { name: 'torch/lib/', data: Buffer.alloc(0), stored: true },
  { name: 'torch/lib/libc10.so', data: library, mode: 0o755 },
  { name: 'torch/version.py', data: Buffer.from("__version__ = '2.15.0'\n"), stored: true },
  { name: 'torch/empty', data: Buffer.alloc(0), stored: true },
  { name: 'torch/lib/libtorch_cuda.so', data: library }
]

describe('unzip', () => {
  test.each([false, true])('unpacks stored and deflated entries with their modes (zip64: %s)', async (zip64) => {
    writeFileSync(archive, zip(entries, { zip64 }))
    await unzip(archive, join(folder, 'out'))
    expect(readFileSync(join(folder, 'out/torch/lib/libc10.so')).equals(library)).toBe(true)
    expect(readFileSync(join(folder, 'out/torch/version.py'), 'utf8')).toBe("__version__ = '2.15.0'\n")
    expect(statSync(join(folder, 'out/torch/empty')).size).toBe(0)
    expect(statSync(join(folder, 'out/torch/lib/libc10.so')).mode & 0o777).toBe(0o755)
  })

  test('unpacks only what is wanted', async () => {
    writeFileSync(archive, zip(entries))
    await unzip(archive, join(folder, 'out'), (name) => !name.includes('cuda'))
    expect(readdirSync(join(folder, 'out/torch/lib'))).toEqual(['libc10.so'])
  })

  test('refuses entries that leave the folder', async () => {
    writeFileSync(archive, zip([{ name: '../evil', data: Buffer.from('x') }]))
    await expect(unzip(archive, join(folder, 'out'))).rejects.toThrow('../evil leaves the folder')
  })

  test('refuses a cut archive', async () => {
    const whole = zip(entries)
    writeFileSync(archive, whole)
    truncateSync(archive, whole.length - 100)
    await expect(unzip(archive, join(folder, 'out'))).rejects.toThrow('no zip archive')
  })
})
