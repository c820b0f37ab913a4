// How often a classifier recognises the samples of an ablation's generators, at each of their checkpoints:
//   node examples/ablations/accuracy.mjs --data cifar10 --ablation runs/components
// It writes accuracy.md and accuracy.svg into the ablation's folder; runs that were measured before are not measured again.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Tokenizer } from '../../dist/index.js'
import { lineChart } from '../../dist/plot/line-chart.js'
import { summarise } from '../../dist/plot/summary.js'
import { Classifier, scoreSamples } from '../cifar10/classifier.mjs'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    ablation: { type: 'string' },
    count: { type: 'string', default: '500' },
    guidance: { type: 'string', default: '2' }
  }
})
if (!options.data || !options.ablation) {
  console.error('Usage: node examples/ablations/accuracy.mjs --data <cifar10> --ablation <folder>')
  process.exit(2)
}
const settings = { count: Number(options.count), guidance: Number(options.guidance) }
const { rows } = JSON.parse(readFileSync(join(options.ablation, 'table.json'), 'utf8'))
let classifier

/** Percentages by the generator's step, kept in the run's folder. */
async function measure(run) {
  const file = join(run, 'accuracy.json')
  const saved = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  if (saved.count === settings.count && saved.guidance === settings.guidance) return saved.points
  classifier ??= await Classifier.train(join(options.data, 'train-{00000..00001}.tar'))
  const tokenizer = await Tokenizer.load(run)
  const checkpoints = join(run, 'generator', 'checkpoints')
  const points = []
  for (const name of readdirSync(checkpoints).sort()) {
    const { total } = await scoreSamples(classifier, join(checkpoints, name), tokenizer, settings)
    points.push({ step: Number(name.slice('step-'.length)), total })
  }
  tokenizer.dispose()
  console.log(`${run}: ${points.map(({ step, total }) => `${total} % at step ${step}`).join(', ')}`)
  writeFileSync(file, `${JSON.stringify({ ...settings, points })}\n`)
  return points
}

const measured = []
for (const { label, runs } of rows) {
  const curves = []
  for (const { dir } of runs) curves.push(await measure(join(options.ablation, dir)))
  if (curves.length === 0) continue
  const points = curves[0].map(({ step }, i) => ({ step, ...summarise(curves.map((points) => points[i].total)) }))
  measured.push({ label, points })
}

const row = (cells) => `| ${cells.join(' | ')} |`
const steps = measured[0].points.map(({ step }) => `step ${step}`)
const cell = ({ mean, error }) => (error === null ? mean.toFixed(1) : `${mean.toFixed(1)} ± ${error.toFixed(1)}`)
const table = [
  row(['recognised (%)', ...steps]),
  row(['', ...steps].map(() => '---')),
  ...measured.map(({ label, points }) => row([label, ...points.map(cell)]))
].join('\n')
writeFileSync(join(options.ablation, 'accuracy.md'), `${table}\n`)
writeFileSync(
  join(options.ablation, 'accuracy.svg'),
  lineChart({
    title: 'Samples that a classifier assigns to the requested class',
    xLabel: 'step of the generator',
    yLabel: '%',
    series: measured.map(({ label, points }) => ({
      name: label,
      points: points.map(({ step, mean, error }) => ({
        x: step,
        y: mean,
        ...(error !== null && { low: mean - error, high: mean + error })
      }))
    })),
    rules: [{ y: 10, name: 'chance' }]
  })
)
console.log(table)
