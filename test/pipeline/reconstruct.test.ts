import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { reconstruct } from '../../lib/pipeline/reconstruct.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { gradient, png, Workplace } from '../support/images.js'
import { device } from '../support/native.js'

const place = new Workplace()

test('a grid is not written over an image that it shows, and reports unreadable ones', async () => {
  using tokenizer = await Tokenizer.create('tiny-32', { device })
  const image = await png(gradient(32, 32))
  const file = await place.write('photos/cats/0.png', image)
  await place.write('photos/cats/1.png', 'damaged')
  await expect(reconstruct(tokenizer, place.path('photos'), file)).rejects.toThrow(
    'Expected another file than one of the images for file'
  )
  expect(readFileSync(file).equals(image)).toBe(true)

  const skipped: string[] = []
  const onBroken = ({ name }: { name: string }) => skipped.push(name)
  const grid = place.path('photos/grid.png')
  expect(await reconstruct(tokenizer, place.path('photos'), grid, { onBroken })).toMatchObject({ images: 1 })
  expect(skipped).toEqual(['cats/1.png'])
})
