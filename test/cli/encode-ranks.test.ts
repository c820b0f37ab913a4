import { createHash } from 'node:crypto'
import { appendFileSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from '@jest/globals'
import { openLatents } from '../../lib/latents/index.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import { type CallOptions, mactok } from '../support/cli.js'
import { gradient, png, Workplace } from '../support/images.js'

const place = new Workplace()
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }

beforeAll(async () => {
  using tokenizer = await Tokenizer.create(
    { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
    { device: 'cpu' }
  )
  await tokenizer.save(place.path('tokenizer'))
  for (let i = 0; i < 40; i++) await place.write(`photos/c${i % 3}/${i}.png`, await png(gradient(20, 20, 6 * i)))
})

const encode = (out: string, env: Record<string, string> = {}, args: string[] = [], options: CallOptions = {}) =>
  mactok(
    [
      'encode',
      place.path('tokenizer'),
      '--data',
      place.path('photos'),
      '--out',
      place.path(out),
      '--shard-size',
      '2',
      '--batch',
      '2',
      '--device',
      'cpu',
      ...args
    ],
    { ...options, env }
  )

/** The environment of a process that torchrun starts. */
const rank = (rank: number, worldSize: number) => ({ RANK: `${rank}`, WORLD_SIZE: `${worldSize}` })

const checksums = (out: string) =>
  readdirSync(place.path(out))
    .sort()
    .map(
      (file) =>
        `${file} ${createHash('sha256')
          .update(readFileSync(place.path(join(out, file))))
          .digest('hex')}`
    )

test('1, 2 and 3 ranks write the same files, and so do 3 of which one was killed and run again', async () => {
  expect((await encode('one')).code).toBe(0)
  const two = await Promise.all([0, 1].map((each) => encode('two', rank(each, 2))))
  expect(two.map(({ code }) => code)).toEqual([0, 0])
  expect(two.map(({ stdout }) => stdout).join('')).toContain('rank 1 of 2: ')
  expect(checksums('two')).toEqual(checksums('one'))

  const killed = { node: ['--import', `data:text/javascript,${encodeURIComponent(killAfterShard('three', 1))}`] }
  const three = await Promise.all([0, 1, 2].map((each) => encode('three', rank(each, 3), [], each === 1 ? killed : {})))
  expect(three.map(({ code }) => code)).toEqual([0, null, 0])
  await expect(openLatents(place.path('three'))).rejects.toThrow('is incomplete')
  expect((await encode('three', rank(1, 3))).code).toBe(0)
  expect(checksums('three')).toEqual(checksums('one'))
})

/** JavaScript by which a process kills itself when it has recorded a shard: a signal from here could come after its end. */
const killAfterShard = (out: string, shard: number) => `
  import { existsSync } from 'node:fs'
  const record = ${JSON.stringify(place.path(`${out}/latents_rank00_shard00${shard}.safetensors.json`))}
  setInterval(() => existsSync(record) && process.kill(process.pid, 'SIGKILL'), 1).unref()`

test('the tasks of a Slurm array and the pods of an indexed Kubernetes job share a folder', async () => {
  const array = { SLURM_ARRAY_TASK_COUNT: '2', SLURM_ARRAY_TASK_MIN: '5' }
  for (const id of ['5', '6']) expect((await encode('array', { ...array, SLURM_ARRAY_TASK_ID: id })).code).toBe(0)
  expect(checksums('array')).toEqual(checksums('one'))
  for (const index of ['1', '0']) {
    expect((await encode('pods', { JOB_COMPLETION_INDEX: index, WORLD_SIZE: '2' })).code).toBe(0)
  }
  expect(checksums('pods')).toEqual(checksums('one'))
})

test('--verify names what differs and exits with 1, and --repair mends it', async () => {
  await encode('mended')
  expect(await encode('mended', {}, ['--verify'])).toMatchObject({
    code: 0,
    stdout: `${place.path('mended')}: as encoded\n`
  })
  appendFileSync(place.path('mended/latents_rank00_shard003.safetensors'), 'x')
  rmSync(place.path('mended/latents_stats.pt'))
  const { code, stdout, stderr } = await encode('mended', {}, ['--verify'])
  expect(code).toBe(1)
  expect(stdout).toMatch(
    /^latents_rank00_shard003.safetensors: it has \d+ bytes instead of \d+\nlatents_stats.pt: it is missing\n$/
  )
  expect(stderr).toContain('2 files differ; --repair instead of --verify encodes them again')
  expect((await encode('mended', {}, ['--repair'])).code).toBe(0)
  expect(checksums('mended')).toEqual(checksums('one'))
})

test('--append adds images that sort after all others', async () => {
  await encode('grown')
  await place.write('photos/c2/zebra.png', await png(gradient(20, 20, 250)))
  try {
    const refused = await encode('grown')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('append the others with append (--append)')
    expect((await encode('grown', {}, ['--append'])).stdout).toContain('41 images in 21 shards')
    await encode('fresh')
    expect(checksums('grown')).toEqual(checksums('fresh'))
  } finally {
    rmSync(place.path('photos/c2/zebra.png'))
  }
})

test('a rank out of range is wrong usage that names the variable', async () => {
  const { code, stderr } = await encode('wrong', { RANK: '2', WORLD_SIZE: '2' })
  expect(code).toBe(2)
  expect(stderr).toContain('Expected an integer from 0 to 1 for the environment variable RANK')
})
