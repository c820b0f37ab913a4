/**
 * The palette's colour under the transparent pixels of a GIF's first frame, which Pillow shows and libvips drops;
 * [r, g, b]. Without a transparent colour, that of index 0, with which Pillow fills what the frame leaves out.
 */
export function hiddenColour(gif: Buffer): [r: number, g: number, b: number] {
  const black: [number, number, number] = [0, 0, 0]
  const globalFlags = gif[10] ?? 0
  let at = 13 + tableBytes(globalFlags)
  let index = 0
  while (at < gif.length) {
    const kind = gif[at]
    if (kind === 0x21) {
      const isControl = gif[at + 1] === 0xf9
      if (isControl && (gif[at + 3] ?? 0) & 1) index = gif[at + 6] ?? 0
      at += 2
      while ((gif[at] ?? 0) > 0) at += 1 + (gif[at] as number)
      at++
    } else if (kind === 0x2c) {
      const flags = gif[at + 9] ?? 0
      const [table, bytes] = flags & 0x80 ? [at + 10, tableBytes(flags)] : [13, tableBytes(globalFlags)]
      const colour = gif.subarray(table, table + bytes).subarray(index * 3, index * 3 + 3)
      return colour.length === 3 ? ([...colour] as typeof black) : black
    } else {
      return black
    }
  }
  return black
}

/** Bytes of the colour table that the flags of a screen or an image announce. */
const tableBytes = (flags: number): number => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0)
