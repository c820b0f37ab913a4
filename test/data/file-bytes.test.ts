import { rename } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { openFileBytes } from '../../lib/data/file-bytes.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

test('a file that is closed during a read is opened again, and the read completes', async () => {
  const path = await place.write('file', 'old')
  const before = await openFileBytes(path)
  const reading = before.read(0, 3)
  await before.close()
  expect(String(await reading)).toBe('old')
  await rename(await place.write('replacement', 'newer'), path)
  const after = await openFileBytes(path)
  expect(after.size).toBe(5)
  expect(String(await after.read(0, 5))).toBe('newer')
  await after.close()
})
