import * as zlib from 'node:zlib'

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

/** zip's CRC-32, continued from a checksum `before`. */
export function crc32(bytes: Uint8Array, before = 0): number {
  // Since Node 20.15, and many times as fast.
  if (zlib.crc32) return zlib.crc32(bytes, before)
  let crc = ~before
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] as number)
  return ~crc >>> 0
}
