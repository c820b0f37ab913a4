/** Images by number, in a fixed order: what every source opens to. */
export interface ImageSet {
  /** Where the images come from, for messages. */
  readonly name: string
  /** The number of images, broken ones included: they are only found when they are read. */
  readonly size: number
  /** Class names by label; null where the images have no classes, or classes without names. */
  readonly classes: readonly string[] | null
  /** What lies among the images and is none, in listing order. */
  readonly ignored: readonly Ignored[]
  /** The name (unique, with `/` on every platform) and label (-1: none) of an image. */
  sample(index: number): Sample
  /** The image as it lies in its file, undecoded. */
  read(index: number): Promise<Buffer>
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

/** Something that can be listed: an image folder, tars. Nothing is touched before `open`. */
export interface ImageSource {
  readonly name: string
  open(): Promise<ImageSet>
}

/** The images at `indices` of a set. Closing is left to the set itself. */
export function subset(set: ImageSet, indices: ArrayLike<number>, name = set.name): ImageSet {
  return {
    name,
    size: indices.length,
    classes: set.classes,
    ignored: [],
    sample: (index) => set.sample(indices[index] as number),
    read: (index) => set.read(indices[index] as number),
    close: async () => {}
  }
}
