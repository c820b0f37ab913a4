// Runs one training step and draws one short sample of a large generator on random latents: does it fit, and how long does it take?
//   node examples/xl/one-step.mjs [preset] [tokens] [channels]       default: sit-xl 64 32
// SiT-XL: about 14 GB of memory, 11 GB of disk for its checkpoint (removed at the end).
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Generator, openLatentWriter, trainGenerator } from '../../dist/index.js'

const [preset = 'sit-xl', tokens = 64, channels = 32] = process.argv.slice(2).map((text) => Number(text) || text)
const count = 4
const folder = await mkdtemp(join(process.env.MACTOK_SCRATCH ?? tmpdir(), 'mactok-xl-'))
const began = performance.now()
const say = (text) =>
  console.log(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text} (${gigabytes()} GB)`)
const gigabytes = () => (process.memoryUsage().rss / 1e9).toFixed(1)

try {
  const writer = await openLatentWriter(join(folder, 'latents'), {
    names: Array.from({ length: count }, (_, i) => `${i}.png`),
    labels: Array.from({ length: count }, (_, i) => i),
    classes: Array.from({ length: 1000 }, (_, i) => `class ${i}`),
    shape: [tokens, channels],
    dtype: 'float32',
    moments: false,
    shardSize: count,
    tokenizer: 'none'
  })
  for (const range of writer.missingShards()) {
    const shard = writer.startShard(range)
    const latents = Float32Array.from({ length: count * tokens * channels }, () => 2 * Math.random() - 1)
    shard.add({ indices: [...Array(count).keys()], latents, latentsFlip: latents })
    await shard.commit()
  }
  await writer.finish()

  const run = await trainGenerator({ preset, batch: 2, precision: 'fp32', log: { every: 1 } })
    .latents(join(folder, 'latents'))
    .on('start', ({ parameters }) => say(`${preset} on ${tokens}×${channels} tokens: ${parameters} parameters`))
    .on('step', ({ step, loss }) => say(`step ${step}, batch 2: loss ${loss.total}`))
    .on('checkpoint', ({ step }) => say(`checkpoint of step ${step}`))
    .run({ dir: join(folder, 'run'), steps: 1 })

  const generator = await Generator.load(run.dir)
  say('loaded')
  const { latents, evaluations } = await generator.sample({ count: 1, classes: [207], sampler: 'euler', steps: 2 })
  say(`a sample [${latents.shape}] in 2 steps, ${evaluations.flow} evaluations`)
  generator.dispose()
} finally {
  await rm(folder, { recursive: true, force: true })
}
