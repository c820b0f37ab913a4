/** What decoding must know before it reads pixels. */
export interface Header {
  width: number
  height: number
  format: string
}

/**
 * Reads the size of a PNG, or of a JPEG of at most three colours; null for anything else. Small images are decoded in
 * less time than libvips takes to describe them.
 */
export const readHeader = (bytes: Buffer): Header | null => readPng(bytes) ?? readJpeg(bytes)

function readPng(bytes: Buffer): Header | null {
  const isPng = bytes.length >= 24 && bytes.toString('latin1', 0, 16) === '\x89PNG\r\n\x1a\n\0\0\0\rIHDR'
  return isPng ? { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20), format: 'png' } : null
}

/** Looks for the start of frame, which gives the size. */
function readJpeg(bytes: Buffer): Header | null {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null
  for (let at = 2; at + 10 <= bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1] as number
    if (bytes[at] !== 0xff || marker < 0xc0 || marker === 0xff) return null
    // 0xc0 to 0xcf are frames, except tables (c4, cc) and an extension (c8).
    if (marker > 0xcf || marker === 0xc4 || marker === 0xc8 || marker === 0xcc) continue
    const [height, width, colours] = [bytes.readUInt16BE(at + 5), bytes.readUInt16BE(at + 7), bytes[at + 9] as number]
    return height > 0 && width > 0 && colours <= 3 ? { width, height, format: 'jpeg' } : null
  }
  return null
}
