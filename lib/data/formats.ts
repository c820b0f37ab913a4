const EXTENSIONS = new Set(['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'webp', 'avif', 'tif', 'tiff', 'gif'])

/** The formats that are read, for messages. */
export const FORMATS = 'JPEG, PNG, WebP, AVIF, TIFF, GIF'

export const isImageExtension = (extension: string): boolean => EXTENSIONS.has(extension.toLowerCase())

/** Why a file cannot be an image by its name, or null if it may be one. */
export function notAnImage(name: string): string | null {
  const extension = /[^/.]\.([^/.]+)$/.exec(name)?.[1] ?? ''
  if (isImageExtension(extension)) return null
  return extension ? `not an image (.${extension})` : 'not an image (no extension)'
}

/** Folders and files that systems and tools leave behind: neither images nor classes, and not worth a report. */
export const isHidden = (name: string): boolean => name.startsWith('.') || name === '__MACOSX'

/** Python's order of strings, by code point; JavaScript's own is by UTF-16 unit. */
export function byCodePoint(a: string, b: string): number {
  let i = 0
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1)
}
