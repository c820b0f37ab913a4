const extensions = new Set(['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'webp', 'avif', 'tif', 'tiff', 'gif'])

/** The supported formats, for messages. */
export const imageFormats = 'JPEG, PNG, WebP, AVIF, TIFF, GIF'

export const isImageExtension = (extension: string): boolean => extensions.has(extension.toLowerCase())

const ascii = (bytes: Buffer, from: number, to: number) => bytes.toString('latin1', from, to)

/** Whether the first bytes are those of a supported format; others that the decoder knows (SVG, PDF, …) must never reach it. */
export const isImage = (bytes: Buffer): boolean =>
  bytes.length >= 12 &&
  (bytes.readUIntBE(0, 3) === 0xffd8ff ||
    ascii(bytes, 1, 4) === 'PNG' ||
    ascii(bytes, 0, 4) === 'GIF8' ||
    (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 12) === 'WEBP') ||
    // BigTIFF has a plus.
    ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(ascii(bytes, 0, 4)) ||
    (ascii(bytes, 4, 8) === 'ftyp' && ['avif', 'avis', 'mif1'].includes(ascii(bytes, 8, 12))))

/** Why a file of this name cannot be an image, or null if it may be one. */
export function notAnImage(name: string): string | null {
  const extension = /[^/.]\.([^/.]+)$/.exec(name)?.[1] ?? ''
  if (isImageExtension(extension)) return null
  return extension ? `not an image (.${extension})` : 'not an image (no extension)'
}

/** Whether an operating system or tool left this behind: neither an image nor a class, and not worth a report. */
export const isHidden = (name: string): boolean => name.startsWith('.') || name === '__MACOSX'

/** Compares strings by code point, as Python does; JavaScript compares UTF-16 units. */
export function byCodePoint(a: string, b: string): number {
  let i = 0
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1)
}

/** Decodes UTF-8, and writes each byte that is not UTF-8 as `\xE9`. */
export function printBytes(bytes: Buffer): string {
  const decoded = bytes.toString('utf8')
  if (!decoded.includes('\ufffd')) return decoded
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] as number
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    const part = bytes.subarray(at, at + length)
    const character = part.toString('utf8')
    const isValid = Buffer.from(character).equals(part)
    text += isValid ? character : `\\x${first.toString(16).toUpperCase().padStart(2, '0')}`
    at += isValid ? length : 1
  }
  return text
}
