/** Images in a fixed order, read by position: what every source opens to. */
export interface ImageSet {
  /** Where the images come from, for messages. */
  readonly name: string
  /** The number of images, including unreadable ones: those are only noticed when they are read. */
  readonly size: number
  /** Class names by label; null where the images have no classes, or classes without names. */
  readonly classes: readonly string[] | null
  /** Files among the images that are not images, in listing order. */
  readonly ignored: readonly Ignored[]
  /** Name (unique, with `/` on every platform) and label (-1 for none) of an image. */
  sample(index: number): Sample
  /** Reads an image's file, undecoded. */
  read(index: number): Promise<Buffer>
  /**
   * Changes when an image's file does, without reading it: its size and time, for example. Optional: without it, files
   * are compared by their contents.
   */
  stamp?(index: number): Promise<string>
  close(): Promise<void>
}

export interface Sample {
  name: string
  label: number
}

export interface Ignored {
  name: string
  reason: string
}

/** Something that can be listed: an image folder, tars. Nothing is read before `open`. */
export interface ImageSource {
  readonly name: string
  open(): Promise<ImageSet>
}

/**
 * A class to which two sets give different labels, in words; null where there is none. Names that only one set has may be other
 * names of the same classes.
 */
export function relabelledClass(one: ImageSet, other: ImageSet): string | null {
  for (const [label, name] of (one.classes ?? []).entries()) {
    const there = other.classes?.indexOf(name) ?? -1
    if (there >= 0 && there !== label) return `'${name}' is ${label} in ${one.name} and ${there} in ${other.name}`
  }
  return null
}

/** The images at some positions of a set. Closing it does not close the set. */
export function subset(set: ImageSet, indices: ArrayLike<number>, name = set.name): ImageSet {
  const chosen: ImageSet = {
    name,
    size: indices.length,
    classes: set.classes,
    ignored: [],
    sample: (index) => set.sample(indices[index] as number),
    read: (index) => set.read(indices[index] as number),
    close: async () => {}
  }
  const { stamp } = set
  if (stamp) chosen.stamp = (index) => stamp.call(set, indices[index] as number)
  return chosen
}
