import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { ablationSchema } from '../../lib/ablation/schema.js'
import { armsOf, sweepArms } from '../../lib/ablation/tables.js'
import { readConfig } from '../../lib/cli/config-file.js'
import { parseConfig } from '../../lib/config.js'
import { EXAMPLES } from '../support/examples.js'
import { gradient, png, Workplace } from '../support/images.js'
import { describeWhere } from '../support/paths.js'
import { hasModules, runPython } from '../support/python.js'
import { tar } from '../support/tars.js'

const folder = join(EXAMPLES, 'ablations')
const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'))

describe.each(files)('examples/ablations/%s', (name) => {
  test('is a configuration, and its command names rows of a table', () => {
    const config = parseConfig(ablationSchema, {
      ...readConfig(join(folder, name)),
      data: 'train.tar',
      heldOut: 'test.tar'
    })
    const [, table = '', options = ''] =
      /mactok ablate --table (\S+)(.*)/.exec(readFileSync(join(folder, name), 'utf8')) ?? []
    const names = / --arms (\S+)/.exec(options)?.[1]?.split(',')
    expect(options).toContain(` --config examples/ablations/${name}`)
    const arms = armsOf(table, names)
    expect(arms.length).toBe(names?.length ?? arms.length)
    const values = config.sweep?.values.length ?? 1
    expect(config.sweep ? sweepArms(arms, config.sweep).length : arms.length).toBe(values * arms.length)
  })
})

const hasPython = hasModules('numpy', 'PIL')
describeWhere(hasPython, 'Python has no numpy and Pillow; MACTOK_PYTHON tells which one', 'linear_limit.py', () => {
  const place = new Workplace()

  test('examples/ablations/linear_limit.py codes what is worth its bits', async () => {
    // Images of one brightness each: one component codes them, until its bits cost more than they are worth.
    const images = Array.from({ length: 16 }, (_, i) => {
      const image = gradient(4, 4)
      return png({ ...image, data: image.data.fill(i * 16) })
    })
    const entries = (await Promise.all(images)).map((bytes, i) => [`${i}.png`, bytes] as const)
    await writeFile(place.path('images.tar'), await tar(entries))
    const given = ['--train', place.path('images.tar'), '--test', place.path('images.tar'), '--units', '4']
    const rows = runPython([join(folder, 'linear_limit.py'), ...given, '--base', '1e-3'])
      .trim()
      .split('\n')
      .slice(1)
    const numbers = rows.map((row) => row.trim().split(/\s+/).map(Number))
    expect(numbers.map(([times]) => times)).toEqual([1, 10, 50, 200, 500, 1000, 2000])
    // 48 equal numbers in [-1, 1] are one component of 48 times their variance; at weight w it must exceed 24 w.
    const variance = (48 * (16 / 127.5) ** 2 * (16 ** 2 - 1) * 16) / 12 / 15
    for (const [, weight, units, nats] of numbers as number[][]) {
      const noise = 24 * (weight as number)
      expect(units).toBe(variance > noise ? 1 : 0)
      if (units) expect(nats).toBeCloseTo(0.5 * Math.log(variance / noise), 2)
    }
  })
})
