import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  findCheckpoints,
  newestCheckpoint,
  readCheckpoint,
  removeOlder,
  removeRemains,
  verifyCheckpoint,
  writeCheckpoint
} from '../../lib/runs/checkpoint.js'

let run: string
beforeEach(() => {
  run = mkdtempSync(join(tmpdir(), 'mactok-checkpoint-'))
})
afterEach(() => rmSync(run, { recursive: true }))

const all = { keep: 100, keepEvery: null }
const write = (step: number, rule: { keep: number; keepEvery: number | null } = all) =>
  writeCheckpoint(
    run,
    { step, samples: step * 4, config: { seed: 1 }, versions: {} },
    async (folder) => {
      await writeFile(join(folder, 'model.safetensors'), `weights of ${step}`)
      return {}
    },
    rule
  )
const names = () => readdirSync(join(run, 'checkpoints')).sort()

test('finds the newest by its step, not by its name or time', async () => {
  for (const step of [10_000_000, 9, 300]) await write(step)
  const newest = await newestCheckpoint(run)
  expect(newest?.folder).toBe(join(run, 'checkpoints', 'step-10000000'))
  expect(newest?.state).toMatchObject({ step: 10_000_000, samples: 40_000_000, config: { seed: 1 } })
})

test('finds none in a folder without checkpoints', async () => {
  expect(await newestCheckpoint(run)).toBeNull()
  expect(await newestCheckpoint(join(run, 'missing'))).toBeNull()
})

test('a crash while writing leaves the earlier one as the newest', async () => {
  await write(1)
  const crash = writeCheckpoint(
    run,
    { step: 2, samples: 8, config: {}, versions: {} },
    async (folder) => {
      await writeFile(join(folder, 'model.safetensors'), 'half')
      throw new Error('disk full')
    },
    all
  )
  await expect(crash).rejects.toThrow('disk full')
  expect((await newestCheckpoint(run))?.state.step).toBe(1)
  await write(2)
  expect(names()).toEqual(['step-0000001', 'step-0000002'])
})

test('an incomplete copy is skipped, and named when it is read', async () => {
  await write(1)
  const cut = await write(2)
  writeFileSync(join(cut, 'model.safetensors'), 'cut')
  const empty = join(run, 'checkpoints', 'step-0000003')
  mkdirSync(empty)
  expect((await newestCheckpoint(run))?.state.step).toBe(1)
  await expect(readCheckpoint(cut)).rejects.toThrow('model.safetensors has 3 bytes instead of 12')
  await expect(readCheckpoint(empty)).rejects.toThrow('state.json is missing or broken')
  writeFileSync(join(empty, 'state.json'), 'null')
  await expect(readCheckpoint(empty)).rejects.toThrow(
    'step-0000003 is not a complete checkpoint: state.json is missing'
  )
  rmSync(join(cut, 'model.safetensors'))
  await expect(readCheckpoint(cut)).rejects.toThrow('model.safetensors is missing')
})

test('what a crash left of others is removed, and nothing else', async () => {
  await write(1)
  for (const name of ['.step-0000002.tmp', '.step-0000000.0123456789ab.old', 'notes'])
    mkdirSync(join(run, 'checkpoints', name))
  await removeRemains(run)
  expect(names()).toEqual(['notes', 'step-0000001'])
  await removeRemains(join(run, 'missing'))
})

test('keeps the newest and every k-th', async () => {
  for (const step of [2, 4, 5, 6, 8, 10]) await write(step, { keep: 2, keepEvery: 4 })
  expect(names()).toEqual(['step-0000004', 'step-0000008', 'step-0000010'])
})

test('a damaged checkpoint with a higher step does not count among those that are kept', async () => {
  for (const step of [4, 6]) await write(step, { keep: 2, keepEvery: null })
  await write(5, { keep: 1, keepEvery: null })
  expect(names()).toEqual(['step-0000005', 'step-0000006'])
})

test('one that a crash prevented from being deleted is deleted at the next start', async () => {
  for (const step of [1, 2, 3]) await write(step, { keep: 9, keepEvery: null })
  await removeOlder(run, 3, { keep: 2, keepEvery: 3 })
  expect(names()).toEqual(['step-0000002', 'step-0000003'])
})

test('writing a step again replaces it', async () => {
  await write(5)
  await write(5)
  expect(names()).toEqual(['step-0000005'])
  expect((await newestCheckpoint(run))?.state.step).toBe(5)
})

test('a state whose sizes are no numbers is refused by name', async () => {
  const folder = await write(1)
  const file = join(folder, 'state.json')
  const { sha256: _, ...state } = JSON.parse(readFileSync(file, 'utf8'))
  writeFileSync(file, JSON.stringify({ ...state, files: { 'model.safetensors': { toString: null, valueOf: null } } }))
  await expect(readCheckpoint(folder)).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: expect.stringContaining('its sizes are no integers')
  })
})

describe('a flipped bit', () => {
  /** Flips one bit of a file. */
  const flip = (file: string, bit: number) => {
    const bytes = readFileSync(file)
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
    writeFileSync(file, bytes)
  }

  test.each(['model.safetensors', 'state.json'])(
    'anywhere in %s is found, and the checkpoint before is used',
    async (name) => {
      await write(1)
      const folder = await write(2)
      const file = join(folder, name)
      const content = readFileSync(file)
      const { state } = await readCheckpoint(folder)
      for (let bit = 0; bit < 8 * content.length; bit += 13) {
        flip(file, bit)
        const { newest, damaged } = await findCheckpoints(run, verifyCheckpoint)
        // A changed space, or the name of the field with the checksums, changes nothing else.
        if (name === 'state.json' && newest?.state.step === 2) expect(newest.state).toMatchObject(state)
        else expect([newest?.state.step, damaged]).toEqual([1, [expect.stringContaining(folder)]])
        writeFileSync(file, content)
      }
    }
  )

  test('in a checkpoint without checksums, of an older version, is not looked for', async () => {
    const folder = await write(1)
    const { sha256: _, ...state } = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8'))
    writeFileSync(join(folder, 'state.json'), JSON.stringify(state))
    flip(join(folder, 'model.safetensors'), 3)
    expect((await findCheckpoints(run, verifyCheckpoint)).newest?.state.step).toBe(1)
  })
})
