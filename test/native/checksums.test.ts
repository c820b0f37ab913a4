import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Crc32c, checkFile, checksum, crc32c } from '../../lib/native/checksums.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-checksums-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Bit by bit, as RFC 3720 defines it. */
function byDefinition(bytes: Uint8Array): number {
  let crc = ~0
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

test("CRC-32C of the standard's examples", () => {
  // RFC 3720, appendix B.4: 32 bytes of zeros, of ones, and ascending.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
})

// Parts of 8 bytes are computed at once, and three such parts.
test('CRC-32C of any length and alignment, whole and in pieces', () => {
  const bytes = Uint8Array.from({ length: 3_000 }, (_, i) => (i * i * 7 + (i >> 3)) & 255)
  for (let length = 0; length < 100; length++) {
    const part = bytes.subarray(length, 2 * length)
    expect(crc32c(part)).toBe(byDefinition(part))
  }
  const whole = byDefinition(bytes)
  expect(crc32c(bytes)).toBe(whole)
  for (const end of [0, 1, 23, 24, 1_001, 2_999, 3_000]) {
    const crc = new Crc32c()
    crc.update(bytes.subarray(0, end))
    crc.update(bytes.subarray(end))
    expect(Number.parseInt(crc.digest(), 16)).toBe(whole)
  }
})

test('a file has the checksums of its content, in hexadecimal', async () => {
  const file = join(folder, 'bytes')
  const bytes = new Uint8Array(2_500_000).fill(7)
  writeFileSync(file, bytes)
  const { sha256, crc32c: crc } = await checksum(file)
  expect(crc).toBe(byDefinition(bytes).toString(16).padStart(8, '0'))
  // Python: hashlib.sha256(bytes([7]) * 2_500_000).hexdigest()
  expect(sha256).toBe('153a33f1f077e764805b150b5c4781056a84df9ad0f2095af6172c438669b356')
  await expect(checkFile(file, { sha256, crc32c: crc }, 'state.json')).resolves.toBeUndefined()
  await expect(checkFile(file, { sha256 }, 'state.json')).resolves.toBeUndefined()
})

test.each([
  ['changed', Buffer.from('somethinG')],
  ['empty', Buffer.alloc(0)]
])('a %s file is refused by either checksum', async (_, content) => {
  const file = join(folder, 'damaged')
  writeFileSync(file, 'something')
  const { sha256, crc32c: crc } = await checksum(file)
  writeFileSync(file, content)
  const refused = { code: 'ERR_FORMAT', message: expect.stringContaining(`${file} is damaged`) }
  await expect(checkFile(file, { sha256, crc32c: crc }, 'state.json')).rejects.toMatchObject(refused)
  await expect(checkFile(file, { sha256 }, 'state.json')).rejects.toMatchObject(refused)
})
