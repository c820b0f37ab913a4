import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { Generator } from '../../lib/generator/generator.js'
import type { GeneratorConfig } from '../../lib/generator/schema.js'
import { writeModelCard } from '../../lib/report/model-card.js'
import { type PushOptions, pushModel } from '../../lib/report/push.js'
import { tensor } from '../../lib/tensor/tensor.js'
import { Tokenizer } from '../../lib/tokenizer/tokenizer.js'
import type { GeneratorRunRecord } from '../../lib/training/generator/record.js'
import { resolveGeneratorTraining } from '../../lib/training/generator/schema.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { pullWeights } from '../../lib/weights/index.js'
import { removeChecksums } from '../support/checksums.js'
import { mactok } from '../support/cli.js'
import { cut, LocalHub, status } from '../support/hub.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'

const place = new Workplace()
const environment = { ...process.env }
const repo = 'somebody/tiny'
const fast = { attempts: 3, retryDelay: 1 }
const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const config = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit }
let hub: LocalHub

beforeAll(async () => {
  using tokenizer = await Tokenizer.create(config, { device, seed: 3 })
  await tokenizer.save(place.path('model'))
  const data = Uint8Array.from({ length: 24 * 20 * 3 }, (_, j) => (j * 37) % 256)
  await mkdir(place.path('secret-folder'))
  for (const name of ['a', 'b', 'c', 'd']) {
    await writePng(place.path(`secret-folder/${name}.png`), { data, width: 24, height: 20 })
  }
  await trainTokenizer({
    tokenizer: config,
    preset: 'tiny-32',
    batch: 2,
    steps: 2,
    grid: { every: 2 },
    masking: { max: 0.6 },
    teacher: { weights: null },
    discriminator: { weights: null },
    log: { every: 1 }
  })
    .data(place.path('secret-folder'))
    .run({ dir: place.path('run'), device })
  await writeFile(place.path('run/evaluation.json'), '{"psnr":21.4567,"rfid":12.3456}')
})

beforeEach(async () => {
  hub = await LocalHub.start()
  process.env = {
    ...environment,
    HF_ENDPOINT: hub.url,
    HF_TOKEN: LocalHub.token,
    HF_HOME: place.path('huggingface'),
    MACTOK_CACHE: place.path('cache'),
    MACTOK_WEIGHTS: place.path('none')
  }
})

afterEach(async () => {
  hub.close()
  process.env = environment
  await rm(place.path('cache'), { recursive: true, force: true })
})

afterAll(() => {
  process.env = environment
})

const files = (name = repo) => hub.repositories.get(name)?.files as Map<string, Buffer>
const push = (options: PushOptions = {}) => pushModel(place.path('model'), repo, { ...fast, ...options })
const weights = () => readFile(place.path('model/model.safetensors'))

describe('pushing a model', () => {
  test('commits it with a card and a reader; pulled, it loads by its name', async () => {
    const pushed = await push({ message: 'First version', private: true })
    const names = ['config.json', 'model.safetensors', 'README.md', 'mactok.py']
    const commit = '0'.repeat(39) + 1
    expect(pushed).toEqual({ kind: 'tokenizer', files: names, commit, url: `${hub.url}/${repo}/commit/${commit}` })
    expect(hub.repositories.get(repo)).toMatchObject({ private: true, commits: ['First version'] })
    expect([...files().keys()].toSorted()).toEqual(names.toSorted())
    expect(files().get('model.safetensors')).toEqual(await weights())

    const pulled = await pullWeights(repo, fast)
    expect(pulled).toMatchObject({ model: 'tokenizer', files: ['model.safetensors', 'config.json'] })
    using original = await Tokenizer.load(place.path('model'), { device })
    using loaded = await Tokenizer.load(repo, { device })
    expect(loaded.config).toEqual(original.config)
    using images = tensor(
      Uint8Array.from({ length: 768 }, (_, i) => i % 256),
      [1, 16, 16, 3],
      { device }
    )
    const [one, other] = await Promise.all([original, loaded].map(async (model) => (await model.encode(images)).data()))
    expect(other).toEqual(one)
  })

  test('resumes: what the server has is not sent again', async () => {
    hub.faults.push({ request: 'PUT /lfs/', answer: cut })
    const interrupted = push({ attempts: 1 })
    await expect(interrupted).rejects.toMatchObject({ code: 'ERR_UPLOAD' })
    await expect(interrupted).rejects.toThrow(
      /^Sending to http:\/\/127\.0\.0\.1:\d+\/lfs\/\w{64} failed 1 times in a row/
    )
    await expect(interrupted).rejects.not.toThrow('secret')
    expect(files().size).toBe(0)

    hub.faults.push({ request: '/commit/', answer: cut })
    await expect(push()).rejects.toThrow('failed 1 times in a row')
    expect(hub.requests('PUT', '/lfs/')).toHaveLength(2)

    await push()
    expect(hub.requests('PUT', '/lfs/')).toHaveLength(2)
    expect(files().get('model.safetensors')).toEqual(await weights())
    expect(hub.repositories.get(repo)?.commits).toHaveLength(1)
  })

  test('sends again what was lost on the way, and of a file in parts that part alone', async () => {
    const { length } = await weights()
    hub.partSize = Math.ceil(length / 3)
    hub.faults.push({ request: '/2?signature', answer: cut }, { request: '/3?signature', answer: status(503) })
    hub.faults.push({ request: 'objects/batch', answer: status(500) })
    const seen: number[] = []
    await push({
      onProgress: ({ file, sent, size }) => file === 'model.safetensors' && size === length && seen.push(sent)
    })
    expect(files().get('model.safetensors')).toEqual(await weights())
    const parts = hub.requests('PUT', '/lfs/').map((url) => /\/(\d)\?/.exec(url)?.[1])
    expect(parts.toSorted()).toEqual(['1', '2', '2', '3', '3'])
    expect(Math.max(...seen)).toBe(length)
    expect(seen.at(-1)).toBe(length)
  })

  test('stops on abort', async () => {
    const controller = new AbortController()
    const aborted = push({ signal: controller.signal, onProgress: () => controller.abort() })
    await expect(aborted).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect(hub.repositories.get(repo)?.commits).toEqual([])
  })

  test('takes the token of `hf auth login`', async () => {
    delete process.env.HF_TOKEN
    await place.write('huggingface/token', `${LocalHub.token}\n`)
    await push()
    await rm(place.path('huggingface/token'))
    expect(files().size).toBe(4)
    expect(hub.log.filter(({ url, authorization }) => url.startsWith('/lfs/') && authorization)).toEqual([])
  })

  test.each([
    ['', 'There is no access token: set HF_TOKEN to one of https://huggingface.co/settings/tokens that may write'],
    ['geheim', 'The access token does not begin with hf_: set HF_TOKEN'],
    ['hf_geheim wort', 'HF_TOKEN has spaces or characters that no access token has'],
    [
      'hf_geheim',
      'answered 401 (Invalid username or password.): the access token is wrong or has expired; set HF_TOKEN'
    ],
    [
      'hf_reader',
      "answered 403 (You don't have the rights to create a model): the access token has no right to write to"
    ]
  ])('explains the token %j without printing it', async (token, message) => {
    process.env.HF_TOKEN = token
    const refused = push()
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.not.toThrow(/geheim|hf_reader/)
  })

  test.each([409, 412])('explains a commit that the server refuses with %d', async (code) => {
    hub.faults.push({ request: '/commit/', answer: status(code, 'A commit has happened since') })
    const answer = `commit/main answered ${code} (A commit has happened since)`
    const conflict = `${answer}: another commit changed somebody/tiny in the meantime; push again`
    await expect(push()).rejects.toThrow(conflict)
  })

  test('refuses wrong arguments and folders without a model', async () => {
    await expect(pushModel(place.path('model'), 'tiny')).rejects.toThrow('Expected a repository such as')
    await expect(push({ licence: 'mit' } as PushOptions)).rejects.toThrow('did you mean license?')
    await expect(push({ license: 'a: b' })).rejects.toThrow('Expected an identifier such as mit for license')
    await expect(push({ grid: 1 as never })).rejects.toThrow('Expected a boolean for grid')
    const none = pushModel(place.path('secret-folder'), repo, fast)
    await expect(none).rejects.toThrow('secret-folder holds no tokenizer or generator: expected config.json')
    expect(hub.log).toEqual([])
  })
})

describe('the model card', () => {
  test("of a run has its numbers, its newest grid and its recipe, without the machine's paths", async () => {
    await pushModel(place.path('run'), repo, { ...fast, license: 'mit' })
    const card = files().get('README.md')?.toString() as string
    for (const text of [
      '---\nlibrary_name: mactok\nlicense: mit\ntags:\n- mactok\n- image-tokenizer\n',
      '# tiny\n\nA one-dimensional image tokenizer (kl): images of 16 × 16 pixels as 4 latent tokens of 4 channels, ',
      'after 2 of 2 training steps.',
      '![Images, masks and reconstructions](grid.png)',
      '| PSNR | 21.46 |',
      "using tokenizer = await Tokenizer.load('somebody/tiny')",
      'folder = snapshot_download("somebody/tiny")',
      'mactok train tokenizer tiny-32 --data images/ --out runs/tiny --',
      '| `masking.max` | `0.6` | `0.7` |'
    ]) {
      expect(card).toContain(text)
    }
    expect(card).not.toContain(place.path(''))
    expect(card).not.toContain('secret-folder')
    expect(files().get('grid.png')).toEqual(await readFile(place.path('run/grids/step-0000002.png')))
    const ema = place.path('run/checkpoints/step-0000002/ema.safetensors')
    expect(files().get('model.safetensors')).toEqual(await readFile(ema))

    await pullWeights(repo, fast)
    using original = await Tokenizer.load(place.path('run'), { device })
    using loaded = await Tokenizer.load(repo, { device })
    expect(await loaded.identity()).toBe(await original.identity())
  })

  test('of a model folder is its README.md, if it has one; the grid can be left out', async () => {
    await cp(place.path('run'), place.path('described'), { recursive: true })
    await writeFile(place.path('described/README.md'), '# Mine\n')
    const pushed = await pushModel(place.path('described'), repo, { ...fast, grid: false })
    expect(files().get('README.md')?.toString()).toBe('# Mine\n')
    expect(pushed.files).not.toContain('grid.png')
  })

  test("of a generator's run has its reference, without the machine's paths", () => {
    const config = resolveGeneratorTraining('sit-tiny')
    const recipe = (referenceFrom: string | null) => {
      const data = { from: '/me/latents', latents: 8, tokenizer: 'abc', tokenizerFrom: '/me/tiny', referenceFrom }
      const record = { formatVersion: 1, kind: 'generator', config, settled: config, data, versions: {} }
      const run = { record: record as unknown as GeneratorRunRecord, step: 2, evaluations: [] }
      const shape = { ...config.generator, latentShape: [4, 4], classes: 3 } as unknown as GeneratorConfig
      const model = { kind: 'generator', config: shape, tokenizer: 'abc' } as const
      const card = writeModelCard({ repo: 'somebody/sit', model, parameters: 10, run, grid: null, license: null })
      expect(card).not.toContain('/me')
      return card
    }
    expect(recipe('/me/photos')).toContain('--tokenizer tokenizer/ --reference reference/ --out runs/sit')
    expect(recipe('/me/statistics.npz')).toContain(' --reference reference.npz ')
    expect(recipe(null)).not.toContain('--reference')
  })

  test('of a generator names its tokenizer and samples', async () => {
    const network = { width: 16, depth: 1, heads: 2, latentShape: [4, 4], classes: 3 }
    using generator = await Generator.create(network, { device })
    await generator.save(place.path('generator'))
    const file = place.path('generator/config.json')
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), tokenizer: 'abc' }))
    await removeChecksums(file)
    await pushModel(place.path('generator'), 'somebody/sit', fast)
    const card = files('somebody/sit').get('README.md')?.toString()
    expect(card).toContain('A generator of images (SiT): latents of 4 × 4, 3 classes')
    expect(card).toContain('the tokenizer with the identity `abc`')
    expect(card).toContain("using generator = await Generator.load('somebody/sit')")
    await pullWeights('somebody/sit', fast)
    using loaded = await Generator.load('somebody/sit', { device })
    expect(loaded.config).toEqual(generator.config)
  })
})

test('the command line pushes and pulls', async () => {
  const args = ['weights', 'push', place.path('run'), repo]
  const pushed = await mactok([...args, '--json', '--no-grid'], { env: process.env })
  expect([pushed.code, pushed.stderr]).toEqual([0, ''])
  expect(JSON.parse(pushed.stdout)).toMatchObject({ kind: 'tokenizer', url: expect.stringContaining('/commit/') })
  const pulled = await mactok(['weights', 'pull', repo], { env: process.env })
  expect(pulled.stdout).toContain(
    `${path.join(place.path('cache'), 'weights', repo)}: model.safetensors, config.json\n`
  )
  expect(pulled.stdout).toContain('a tokenizer; commands and `load` take it as somebody/tiny')
  const refused = await mactok(args, { env: { ...process.env, HF_TOKEN: 'hf_reader' } })
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('the access token has no right to write to somebody/tiny')
  expect((await mactok(['weights', 'push', 'x', 'tiny'], { env: process.env })).code).toBe(2)
})
