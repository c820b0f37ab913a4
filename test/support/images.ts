import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll } from '@jest/globals'
import sharp, { type Sharp } from 'sharp'
import type { Image } from '../../lib/data/decode.js'
import type { ImageSet } from '../../lib/data/image-set.js'

/** A smooth image with no symmetry: red grows rightwards, green downwards, blue tells the number. */
export function gradient(width: number, height: number, number = 0): Image {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      data[at] = Math.round((255 * x) / Math.max(width - 1, 1))
      data[at + 1] = Math.round((255 * y) / Math.max(height - 1, 1))
      data[at + 2] = number
    }
  }
  return { data, width, height }
}

export const toSharp = ({ data, width, height }: Image): Sharp => sharp(data, { raw: { width, height, channels: 3 } })

export const png = (image: Image): Promise<Buffer> => toSharp(image).png().toBuffer()

/** A folder of its own for a test file, removed at the end. */
export class Workplace {
  #root = ''

  constructor() {
    beforeAll(async () => {
      this.#root = await mkdtemp(join(tmpdir(), 'mactok-test-'))
    })
    afterAll(() => rm(this.#root, { recursive: true, force: true }))
  }

  path(name: string): string {
    return join(this.#root, name)
  }

  async write(name: string, content: string | Uint8Array): Promise<string> {
    const path = this.path(name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
    return path
  }
}

/** A set of files in memory; label i % 3. */
export function memorySet(files: Buffer[]): ImageSet & { reads: number[] } {
  const reads: number[] = []
  return {
    name: 'memory',
    size: files.length,
    classes: null,
    ignored: [],
    reads,
    sample: (index) => ({ name: `${index}.png`, label: index % 3 }),
    read: async (index) => {
      reads.push(index)
      return files[index] as Buffer
    },
    close: async () => {}
  }
}

/** Mean and largest absolute difference. */
export function difference(a: Uint8Array, b: Uint8Array): { mean: number; max: number } {
  if (a.length !== b.length) throw new Error(`${a.length} bytes instead of ${b.length}`)
  let sum = 0
  let max = 0
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs((a[i] as number) - (b[i] as number))
    sum += distance
    max = Math.max(max, distance)
  }
  return { mean: sum / a.length, max }
}
