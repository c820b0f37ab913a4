const extensions = new Set(['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'webp', 'avif', 'tif', 'tiff', 'gif'])

/** The supported formats, for messages. */
export const imageFormats = 'JPEG, PNG, WebP, AVIF, TIFF, GIF'

export const isImageExtension = (extension: string): boolean => extensions.has(extension.toLowerCase())

export const isTar = (name: string): boolean => /\.tar$/i.test(name)

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
