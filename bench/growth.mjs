#!/usr/bin/env node
/** npm run bench:growth: step time as the work grows, and encoding of long folders. See README.md. */

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { lineChart } from '../dist/plot/line-chart.js'
import { cacheFolder } from '../lib/files/cache.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { pythonEnvironment } from './environment.mjs'
import { beside, processes } from './processes.mjs'
import { median } from './statistics.mjs'

const options = new Command('npm run bench:growth --')
  .description('Draws step time over batch, tokens, resolution and width, and encoding over the number of images.')
  .addOption(new Option('--dtype <name>', 'precision of both sides').choices(['fp32', 'bf16']).default('bf16'))
  .option(
    '--data <folder>',
    'folder of WebDataset tars to encode',
    join(process.env.MACTOK_DATA ?? beside('data'), 'cifar10')
  )
  .option('--python <interpreter>', 'an environment with bench/requirements.txt, instead of making one')
  .option('--out <folder>', 'folder for figures/growth-*.svg and data/growth.json', 'growth')
  .parse()
  .opts()

const threads = availableParallelism()
const { worker, peer } = processes({ weights: process.env.MACTOK_WEIGHTS ?? beside('weights'), threads })

const base = { imageSize: 64, patchSize: 8, latentTokens: 32, width: 192, batch: 16 }
const axes = [
  { name: 'batch', label: 'images per step', values: [4, 8, 16, 32, 64] },
  { name: 'latentTokens', label: 'latent tokens', values: [16, 32, 64, 128, 256] },
  { name: 'imageSize', label: 'side of the images, px', values: [32, 64, 96, 128, 192] },
  { name: 'width', label: 'width of encoder and decoder', values: [96, 192, 384, 576, 768] }
]

/** Median seconds per step, ours and the peer's. */
async function step(changes, python, scratch) {
  const { width, batch, ...sizes } = { ...base, ...changes }
  const vit = { width, depth: 4, heads: width / 32, layerScale: 1 }
  const spec = {
    tokenizer: { ...sizes, latentChannels: 16, encoder: vit, decoder: vit },
    batch,
    recipe: 'plain',
    precision: options.dtype,
    threads,
    warmup: 2,
    steps: 1,
    rounds: 5
  }
  const folder = mkdtempSync(join(scratch, 'growth-'))
  const fixtures = await worker('fixtures', 'tokenizer', folder, JSON.stringify(spec))
  const given = JSON.stringify({ ...spec, ...fixtures, attention: 'bmm' })
  const ours = []
  const theirs = []
  for (let round = 0; round < 2; round++) {
    ours.push(...(await worker('tokenizer', given)).seconds)
    theirs.push(...(await peer(python, 'tokenizer', given)).seconds)
  }
  rmSync(folder, { recursive: true })
  return { ours: median(ours), theirs: median(theirs) }
}

/** The tars to encode. */
function findTars() {
  const names = existsSync(options.data) ? readdirSync(options.data) : []
  const tars = names.filter((name) => /^train-.*\.tar$/.test(name))
  if (tars.length > 0) return tars
  throw new Failure(`There is no train-*.tar in ${options.data} for --data`, ['--data <folder> names another'])
}

/** Encodes `repetitions` copies of the tars: images per second, and the peak memory in bytes. */
async function encode(tars, repetitions, scratch) {
  const folder = mkdtempSync(join(scratch, 'growth-'))
  const data = join(folder, 'data')
  mkdirSync(data)
  for (let i = 0; i < repetitions; i++) {
    for (const name of tars) copyFileSync(join(options.data, name), join(data, `${String(i).padStart(3, '0')}-${name}`))
  }
  const { seconds, memory, images } = await worker('encode-many', JSON.stringify({ data, scratch: folder, threads }))
  rmSync(folder, { recursive: true })
  return { images, rate: images / seconds[0], memory }
}

await run(async () => {
  const tars = findTars()
  const python = options.python ?? (await pythonEnvironment())
  const scratch = join(cacheFolder(), 'bench-scratch')
  const out = resolve(options.out)
  const [figures, numbers] = ['figures', 'data'].map((name) => join(out, name))
  for (const folder of [scratch, figures, numbers]) mkdirSync(folder, { recursive: true })
  const found = { dtype: options.dtype, threads, base, steps: {}, encoding: [] }
  for (const { name, label, values } of axes) {
    const points = []
    for (const value of values) {
      points.push({ value, ...(await step({ [name]: value }, python, scratch)) })
      const { ours, theirs } = points.at(-1)
      say(`${label} ${value}: ${(ours * 1000).toFixed(1)} ms, peer ${(theirs * 1000).toFixed(1)} ms`)
    }
    found.steps[name] = points
    const series = (side, title) => ({
      name: title,
      points: points.map((point) => ({ x: point.value, y: point[side] * 1000 }))
    })
    writeFileSync(
      join(figures, `growth-${name}.svg`),
      lineChart({
        title: `Time per training step over ${label}`,
        xLabel: label,
        yLabel: 'ms per step',
        log: true,
        series: [series('ours', 'mactok'), series('theirs', 'PyTorch eager, batched products')]
      })
    )
  }
  for (const repetitions of [1, 2, 3, 5]) {
    const point = await encode(tars, repetitions, scratch)
    found.encoding.push(point)
    say(
      `${point.images} images: ${point.rate.toFixed(0)} per second, at most ${(point.memory / 2 ** 20).toFixed(0)} MB`
    )
  }
  const encoding = (name, value) => [
    { name, points: found.encoding.map((point) => ({ x: point.images, y: value(point) })) }
  ]
  /** @type {[string, any][]} */
  const charts = [
    [
      'rate',
      { title: 'Encoding CIFAR-10', yLabel: 'images per second', series: encoding('mactok', ({ rate }) => rate) }
    ],
    [
      'memory',
      {
        title: 'Most memory while encoding',
        yLabel: 'MB',
        series: encoding('mactok', ({ memory }) => memory / 2 ** 20)
      }
    ]
  ]
  for (const [name, chart] of charts) {
    writeFileSync(join(figures, `growth-encoding-${name}.svg`), lineChart({ xLabel: 'images in the folder', ...chart }))
  }
  writeFileSync(join(numbers, 'growth.json'), `${JSON.stringify(found, null, 1)}\n`)
})
