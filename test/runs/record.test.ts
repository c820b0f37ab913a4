import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { findConflict, openRun, type RunRecord, readRecord, readVersions, writeRecord } from '../../lib/runs/record.js'
import { removeChecksums } from '../support/checksums.js'
import { Workplace } from '../support/images.js'

const place = new Workplace()
const schema = z.strictObject({ seed: z.number(), flip: z.boolean().default(true) })
type Sample = RunRecord<'sample', z.output<typeof schema>, z.output<typeof schema>>
const write = async (folder: string, content: unknown) => {
  await place.write(`${folder}/run.json`, typeof content === 'string' ? content : JSON.stringify(content))
  return place.path(folder)
}

describe('a record', () => {
  const record = { formatVersion: 1 as const, kind: 'sample', data: {}, versions: readVersions() }

  test('is read as it was written', async () => {
    const config = { seed: 1, flip: false }
    const folder = await write('whole', '{}')
    await writeRecord(folder, { ...record, config, settled: { ...config, seed: 2 } })
    expect(await readRecord<Sample>(folder, 'sample', schema)).toEqual({
      ...record,
      config,
      settled: { seed: 2, flip: false }
    })
  })

  test('with a changed setting is refused, until it is declared as changed by hand', async () => {
    const config = { seed: 1, flip: false }
    const folder = await write('changed', '{}')
    await writeRecord(folder, { ...record, config, settled: config })
    const file = place.path('changed/run.json')
    await write('changed', readFileSync(file, 'utf8').replace('"seed": 1', '"seed": 3'))
    await expect(readRecord<Sample>(folder, 'sample', schema)).rejects.toThrow(
      `${file} is damaged: its checksum is not`
    )
    await removeChecksums(file)
    expect((await readRecord<Sample>(folder, 'sample', schema))?.config.seed).toBe(3)
  })

  test('has the defaults of settings that its version did not know yet', async () => {
    const folder = await write('old', { ...record, config: { seed: 1 }, settled: { seed: 1 } })
    const read = await readRecord<Sample>(folder, 'sample', schema)
    expect([read?.config, read?.settled]).toEqual([
      { seed: 1, flip: true },
      { seed: 1, flip: true }
    ])
  })

  test('is null in a folder without one, and refused where it is broken or of another kind', async () => {
    expect(await readRecord(place.path('nowhere'), 'sample', schema)).toBeNull()
    const broken = await write('broken', '{')
    await expect(readRecord(broken, 'sample', schema)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await expect(readRecord(broken, 'sample', schema)).rejects.toThrow(/broken.run\.json is not JSON: /)
    await expect(readRecord(await write('null', 'null'), 'sample', schema)).rejects.toThrow(/run\.json is no record/)
    const wrong = await write('wrong', { ...record, config: { seed: 'x' }, settled: {} })
    await expect(readRecord(wrong, 'sample', schema)).rejects.toThrow(/run\.json: Expected a number for seed/)
    const other = await write('other', { ...record, kind: 'generator', config: {}, settled: {} })
    await expect(readRecord(other, 'sample', schema)).rejects.toThrow("a sample's run for dir")
  })

  test('without a checkpoint starts from scratch', async () => {
    const sample = { ...record, config: { seed: 1 }, settled: {} }
    const fresh = { record: null, checkpoint: null }
    expect(await openRun(place.path('none'), sample, { seed: 2 }, { resume: true })).toEqual(fresh)
    expect(await openRun(place.path('none'), null, {}, { resume: false })).toEqual(fresh)
  })
})

describe('findConflict', () => {
  test('names the first setting that differs, with both values', () => {
    const [one, other] = [{ masking: { max: 0.7, min: 0 } }, { masking: { max: 0.5, min: 0 } }]
    expect(findConflict(one, other)).toBe('masking.max is 0.7 there but 0.5 here')
    expect(findConflict(one, structuredClone(one))).toBeNull()
  })

  test('ignores settings that may change when a run resumes, but not their names within a group', () => {
    expect(findConflict({ steps: 1, seed: 0 }, { steps: 2, seed: 0 })).toBeNull()
    expect(findConflict({ a: { steps: 1 } }, { a: { steps: 2 } })).toBe('a.steps is 1 there but 2 here')
  })
})
