import { fileURLToPath } from 'node:url'
import { expect, test } from '@jest/globals'
import { inspect } from '../../lib/report/inspect.js'

test('a checkpoint has the parameters of one network, and the bytes of all its state dicts', async () => {
  const path = fileURLToPath(new URL('../golden/torch/sit.pt', import.meta.url))
  const inspected = await inspect(path)
  // torch_files.py: `model` and `ema`, each the same 42 tensors of 6,576 parameters in float32.
  expect(inspected).toMatchObject({ kind: 'weights', layout: 'generator (sit)', parameters: 6576, bytes: 2 * 4 * 6576 })
  expect('tensors' in inspected && inspected.tensors).toHaveLength(2 * 42)
})
