// Writes the library's own 256×256 pixels of an image folder (ADM centre crop), uint8 [images, 256, 256, 3], for
// semantic_masks.py: node pixels.mjs <image folder> <file>. Needs the compiled package.
import { writeFileSync } from 'node:fs'
import { centreCrop } from '../../dist/data/crop.js'
import { decode } from '../../dist/data/decode.js'
import { imageFolder } from '../../dist/data/image-folder.js'

const SIZE = 256
const [folder, file] = process.argv.slice(2)
const set = await imageFolder(folder).open()
const pixels = new Uint8Array(set.size * SIZE * SIZE * 3)
for (let i = 0; i < set.size; i++) {
  const image = await decode(await set.read(i))
  await centreCrop(image, SIZE, pixels.subarray(i * SIZE * SIZE * 3, (i + 1) * SIZE * SIZE * 3))
}
writeFileSync(file, pixels)
