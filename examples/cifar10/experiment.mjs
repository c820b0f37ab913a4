// CIFAR-10 from a trained tokenizer to images of a requested class, and how often a classifier recognises it. See README.md.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { encodeImages, Generator, sampleImages, Tokenizer, trainGenerator, webDataset } from '../../dist/index.js'
import { lineChart } from '../../dist/plot/line-chart.js'
import { Classifier, classes, readImages, Score, scoreSamples } from './classifier.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    out: { type: 'string', default: 'cifar10' },
    preset: { type: 'string', default: 'sit-tiny' },
    minutes: { type: 'string', default: '10' },
    checkpoints: { type: 'string', default: '8' },
    count: { type: 'string', default: '1000' },
    guidance: { type: 'string', default: '2' }
  }
})
const tokenizers = positionals.map((text) => /^([^=]+)=(.+)$/.exec(text)?.slice(1))
if (!options.data || tokenizers.length === 0 || tokenizers.includes(undefined)) {
  console.error(
    'Usage: node examples/cifar10/experiment.mjs --data <cifar10> [--out <folder>] <name>=<tokenizer run> …'
  )
  process.exit(2)
}
const [minutes, checkpoints, count, guidance] = ['minutes', 'checkpoints', 'count', 'guidance'].map((name) =>
  Number(options[name])
)
const trainImages = join(options.data, 'train-{00000..00001}.tar')
const testImages = join(options.data, 'test-00000.tar')

const began = performance.now()
const clock = () => {
  const seconds = Math.round((performance.now() - began) / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
const say = (line) => console.log(`[${clock()}] ${line}`)
const percent = ({ total, images }) => `${total} % of ${images}`

say('Training the classifier on real images')
const classifier = await Classifier.train(trainImages)
const real = new Score()
for await (const batch of readImages(testImages)) real.add(batch.labels, await classifier.classify(batch.images))
say(`It recognises ${percent(real.result())} test images`)

/** Accuracy on the tokenizer's reconstructions of test images: about what unguided samples can reach. */
async function scoreReconstructions(tokenizer) {
  const score = new Score()
  for await (const batch of readImages(testImages)) {
    const latents = await tokenizer.encode(batch.images)
    const decoded = await tokenizer.decode(latents)
    score.add(batch.labels, await classifier.classify(decoded))
    for (const one of [latents, decoded]) one.dispose()
  }
  return score.result()
}

const place = (...names) => join(options.out, ...names)
const runs = []
let steps
for (const [name, run] of tokenizers) {
  say(`${name}: encoding the images and their mirror images with ${run}`)
  const tokenizer = await Tokenizer.load(run)
  await encodeImages(tokenizer, webDataset(trainImages), place(name, 'latents'))
  const decoded = await scoreReconstructions(tokenizer)
  say(`${name}: reconstructions of test images: ${percent(decoded)}`)

  const training = () => trainGenerator(options.preset).latents(place(name, 'latents'), { tokenizer: run })
  if (steps === undefined) {
    // The first run measures how many steps fit; the others run as many, for comparison.
    let perSecond = 0
    await training()
      .set({ log: { every: 15 }, grid: { every: null } })
      .on('step', ({ latentsPerSecond }) => {
        perSecond = latentsPerSecond / training().config.batch
      })
      .run({ dir: place(name, 'warm-up'), steps: 30 })
    rmSync(place(name, 'warm-up'), { recursive: true })
    steps = Math.round((minutes * 60 * perSecond) / checkpoints) * checkpoints
  }
  const every = steps / checkpoints
  say(`${name}: training ${options.preset} for ${steps} steps`)
  const folders = []
  const dir = place(name, 'generator')
  rmSync(dir, { recursive: true, force: true })
  await training()
    .set({ checkpoint: { every, keep: checkpoints }, grid: { every }, log: { every: Math.ceil(every / 4) } })
    .on('step', ({ step, loss }) => say(`${name}: step ${step} of ${steps}, loss ${loss.total.toFixed(3)}`))
    .on('checkpoint', ({ step, folder }) => folders.push({ step, folder }))
    .run({ dir, steps })

  const curve = []
  for (const { step, folder } of folders) {
    const { total } = await scoreSamples(classifier, folder, tokenizer, { count: Math.min(count, 500), guidance })
    say(`${name}: step ${step}: ${total} % of samples show the requested class`)
    curve.push({ step, total })
  }
  const guided = await scoreSamples(classifier, dir, tokenizer, { count, guidance })
  const plain = await scoreSamples(classifier, dir, tokenizer, { count, guidance: 1 })
  say(`${name}: ${percent(guided)} samples with guidance ${guidance}, ${percent(plain)} without`)
  const generator = await Generator.load(dir)
  const grid = place(`${name}.png`)
  await sampleImages(generator, tokenizer, { grid, columns: 10, count: 100, classes, steps: 20, guidance })
  for (const one of [generator, tokenizer]) one.dispose()
  runs.push({ name, tokenizer: run, steps, reconstructions: decoded, guided, plain, curve, grid })
}

const results = { preset: options.preset, guidance, classifier: real.result(), runs }
mkdirSync(options.out, { recursive: true })
writeFileSync(place('results.json'), `${JSON.stringify(results, null, 2)}\n`)

const row = (cells) => `| ${cells.join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')
const cells = (name, { total, perClass }) => [name, `${total} %`, ...perClass]
const names = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
const recognised = table(
  ['images', 'recognised', ...names],
  [
    cells('test images', real.result()),
    ...runs.flatMap((run) => [
      cells(`${run.name}: reconstructions`, run.reconstructions),
      cells(`${run.name}: samples, guidance ${guidance}`, run.guided),
      cells(`${run.name}: samples, no guidance`, run.plain)
    ])
  ]
)
const [first] = runs
const convergence = table(
  ['step', ...runs.map(({ name }) => name)],
  first.curve.map(({ step }, i) => [step, ...runs.map(({ curve }) => `${curve[i].total} %`)])
)
writeFileSync(place('results.md'), `${recognised}\n\n${convergence}\n`)
writeFileSync(
  place('convergence.svg'),
  lineChart({
    title: 'Samples that a classifier assigns to the requested class',
    xLabel: 'steps of the generator',
    yLabel: '%',
    series: runs.map(({ name, curve }) => ({ name, points: curve.map(({ step, total }) => ({ x: step, y: total })) })),
    rules: [{ y: 10, name: 'chance' }]
  })
)
console.log(`\n${recognised}\n\n${convergence}\n\n${options.out}: results.json, results.md, convergence.svg, grids`)
