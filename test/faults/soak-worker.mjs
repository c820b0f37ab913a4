/** node --expose-gc soak-worker.mjs <place> rounds <minutes> <percent> | fp32 <steps> | bf16 <steps> */

import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { tokenizer as config, everything, writeNetworks } from './networks.mjs'
import { dist } from './place.mjs'

const {
  encodeImages,
  Generator,
  imageFolder,
  memory,
  readSafetensors,
  sampleImages,
  scope,
  serveRun,
  Teacher,
  tensor,
  Tokenizer,
  TrainingControl,
  trainGenerator,
  trainTokenizer
} = await import(new URL('index.js', dist).href)

const [place = '', kind = '', amount = '', most = ''] = process.argv.slice(2)
const work = join(place, `soak ${kind}`)
rmSync(work, { recursive: true, force: true })
const at = (/** @type {string} */ name) => join(work, name)
const networks = await writeNetworks(join(place, 'networks'))
const images = join(place, 'images')
const device = 'cpu'

/** Trains a tokenizer with everything. @param {object} settings @param {object} options */
const train = (settings, options) =>
  trainTokenizer({ ...everything(networks), ...settings })
    .data(images)
    .run({ dir: at('run'), device, ...options })

/** What must not grow. */
async function measure() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await setImmediate()
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  const { tensors, bytes, modelBytes } = memory()
  const descriptors = process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0
  const handles = process.getActiveResourcesInfo().length
  return { rss, heapUsed, external, tensors, bytes, modelBytes, descriptors, handles }
}

/**
 * Sends a request, and reads its answer: all of it, or its first part. `fetch` would keep a pool of connections for every page.
 * @param {string} url
 * @param {{ body?: Buffer, part?: boolean }} [options]
 */
const ask = (url, { body, part = false } = {}) =>
  new Promise((resolve, reject) => {
    const sent = request(url, { agent: false, method: body ? 'POST' : 'GET' }, (answer) => {
      answer.on('close', resolve)
      if (part) answer.once('data', () => answer.destroy())
      else answer.resume()
    })
    sent.on('error', reject)
    sent.end(body)
  })

/** Opens the page, reads its events and uses its playground, until `signal` aborts. @param {string} url @param {AbortSignal} signal */
async function poll(url, signal) {
  const body = readFileSync(join(images, 'class 0', '0.png'))
  let answers = 0
  for (; !signal.aborted; answers += 3) {
    await ask(url)
    await ask(`${url}events`, { part: true })
    // An error until there is a checkpoint.
    await ask(`${url}playground/reconstruct?ratio=0.5&kind=semantic&seed=${answers}`, { body })
    await sleep(100)
  }
  return answers
}

/** One of everything: training with a page, encoding, a generator, samples, and models that come and go. */
async function round() {
  const control = new TrainingControl()
  const page = await serveRun(at('run'), { control, device })
  const ended = new AbortController()
  const polling = poll(page.url, ended.signal)
  await train({ steps: 12, log: { every: 2 }, checkpoint: { every: 5, keep: 1 }, grid: { every: 6 } }, { control })
  const tokenizer = await Tokenizer.load(at('run'), { device })
  await encodeImages(tokenizer, imageFolder(images), at('shards'), { shardSize: 16, batch: 8 })
  await trainGenerator({ generator: { width: 32, depth: 2, heads: 2 }, batch: 4, steps: 10, log: { every: 5 } })
    .latents(at('shards'), { tokenizer: at('run') })
    .run({ dir: at('generator'), device })
  const generator = await Generator.load(at('generator'), { device })
  await sampleImages(generator, tokenizer, { count: 8, steps: 5, folder: at('samples'), npz: at('samples.npz') })
  generator.dispose()
  tokenizer.dispose()
  ended.abort()
  const answers = await polling
  await page.close()
  for (let i = 0; i < 5; i++) {
    const fresh = await Tokenizer.create(config, { device, seed: i })
    const teacher = await Teacher.load(networks.backbone, { device, grid: 4 })
    await scope(async () => {
      const input = tensor(new Uint8Array(32 * 32 * 3).fill(i), [1, 32, 32, 3], { dtype: 'uint8' })
      await fresh.decode(await fresh.encode(input))
      await teacher.features(input)
    })
    teacher.dispose()
    fresh.dispose()
  }
  rmSync(work, { recursive: true })
  return answers
}

/** @param {number[]} values */
const median = (values) => /** @type {number} */ (values.sort((a, b) => a - b)[values.length >> 1])

/**
 * Compares the last third of the time with the one before; the first warms up.
 * @param {number} minutes
 * @param {number} most - percent that anything may grow
 */
async function rounds(minutes, most) {
  const end = performance.now() + minutes * 60_000
  /** @type {Record<string, number>[]} */
  const measured = []
  let answers = 0
  // A busy machine gets to few.
  while (performance.now() < end || measured.length < 6) {
    answers += await round()
    measured.push(await measure())
    if (measured.length % 10 === 0) process.stdout.write(`${JSON.stringify(measured.at(-1))}\n`)
  }
  const third = Math.floor(measured.length / 3)
  const of = (/** @type {string} */ name, /** @type {number} */ from) =>
    median(measured.slice(from, from + third).map((one) => /** @type {number} */ (one[name])))
  const growth = Object.fromEntries(
    Object.keys(measured[0] ?? {}).map((name) => {
      const [before, after] = [of(name, measured.length - 2 * third), of(name, measured.length - third)]
      return [name, { before, after, percent: before === after ? 0 : Number((100 * (after / before - 1)).toFixed(2)) }]
    })
  )
  const passed = third > 0 && Object.values(growth).every(({ percent }) => percent < most)
  return { rounds: measured.length, answers, growth, passed }
}

/** Steps with everything on: whatever is logged and stored must be finite. @param {string} precision @param {number} steps */
async function long(precision, steps) {
  await train(
    {
      precision,
      steps,
      batch: 2,
      microBatch: null,
      log: { every: 1 },
      checkpoint: { every: Math.ceil(steps / 4) },
      evaluation: { every: Math.ceil(steps / 4), metrics: ['ssim'], probe: 'mean' }
    },
    {}
  )
  const lines = readFileSync(join(at('run'), 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
  // JSON has no NaN and no infinity: they would be null.
  const wrong = lines.filter((line) => line.includes('null') || /"(nonFinite|skipped)":(\{[^}]*[1-9]|[1-9])/.test(line))
  const terms = Object.keys(JSON.parse(/** @type {string} */ (lines.at(-2))).loss)
  const folder = join(at('run'), 'checkpoints', `step-${String(steps).padStart(7, '0')}`)
  let values = 0
  let broken = 0
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.safetensors'))) {
    const file = await readSafetensors(join(folder, name))
    for (const tensor of file.names()) {
      const elements = await file.float32(tensor)
      values += elements.length
      broken += elements.filter((/** @type {number} */ value) => !Number.isFinite(value)).length
    }
    await file.close()
  }
  const passed = lines.length >= steps && wrong.length === 0 && broken === 0
  return { steps, terms, lines: lines.length, wrong: wrong.slice(0, 3), values, broken, passed }
}

const result = kind === 'rounds' ? await rounds(Number(amount), Number(most)) : await long(kind, Number(amount))
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
