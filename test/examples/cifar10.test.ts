import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { runExample } from '../support/examples.js'
import { gradient, png, Workplace } from '../support/images.js'
import { images, tokenizers } from '../support/models.js'
import { describeWith, WEIGHTS } from '../support/paths.js'
import { tar } from '../support/tars.js'

describeWith(join(WEIGHTS, 'dinov2-small'), 'examples/cifar10', () => {
  const place = new Workplace()

  /** Ten classes of one colour each, two images of each. */
  const archive = async (): Promise<Buffer> => {
    const entries = Array.from({ length: 20 }, async (_, i): Promise<[string, string | Buffer][]> => {
      const image = gradient(32, 32, (i % 10) * 25)
      return [
        [`${i}.png`, await png(image)],
        [`${i}.cls`, `${i % 10}`]
      ]
    })
    return tar((await Promise.all(entries)).flat())
  }

  beforeAll(async () => {
    for (const name of ['train-00000', 'train-00001', 'test-00000']) {
      await writeFile(place.path(`${name}.tar`), await archive())
    }
    using tokenizer = await Tokenizer.create({ ...images, ...tokenizers.kl })
    await tokenizer.save(place.path('model'))
  })

  test('measures a tokenizer by a classifier of its samples', async () => {
    const args = ['--data', place.path(''), '--out', place.path('results'), `plain=${place.path('model')}`]
    const short = ['--minutes', '0.02', '--checkpoints', '1', '--count', '20']
    const out = await runExample('cifar10/experiment.mjs', [...args, ...short], { env: { MACTOK_WEIGHTS: WEIGHTS } })
    expect(out).toMatch(/It recognises 100 % of 20 test images/)
    const { runs } = JSON.parse(await readFile(place.path('results/results.json'), 'utf8'))
    expect(runs).toMatchObject([{ name: 'plain', guided: { images: 20 }, plain: { images: 20 }, curve: [{}] }])
    expect(await readFile(place.path('results/results.md'), 'utf8')).toContain('| plain: samples, no guidance | ')
  }, 300_000)
})
