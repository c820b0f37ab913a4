import { describe, expect, test } from '@jest/globals'
import { requireNumbers } from '../../lib/evaluation/metric-names.js'
import { readStatistics } from '../../lib/evaluation/statistics-file.js'
import { NpzFile } from '../../lib/files/npz-reader.js'
import { writeNpz } from '../../lib/files/npz-writer.js'
import { GOLDEN } from '../support/golden.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()

describe('reference statistics', () => {
  test('with values that are not finite are refused by array and file', async () => {
    const path = place.path('nan.npz')
    const sigma = new Float32Array(2048 ** 2)
    sigma[5] = Number.NaN
    await writeNpz(path, {
      mu: { shape: [2048], data: new Float32Array(2048) },
      sigma: { shape: [2048, 2048], data: sigma }
    })
    await using file = await NpzFile.open(path)
    await expect(readStatistics(file)).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: `sigma of ${path} has values that are not finite (NaN or infinite)`
    })
  })

  test('of another width are refused', async () => {
    await using file = await NpzFile.open(`${GOLDEN}statistics.npz`)
    await expect(readStatistics(file)).rejects.toThrow('are [3] and [3,3] instead of [2048] and [2048, 2048]')
  })
})

test('metrics that are not numbers are an error that names them', () => {
  expect(requireNumbers({ psnr: Number.POSITIVE_INFINITY, sfid: null })).toEqual({
    psnr: Number.POSITIVE_INFINITY,
    sfid: null
  })
  expect(() => requireNumbers({ psnr: 1, lpips: Number.NaN })).toThrow('The metric lpips is not a number (NaN)')
})
