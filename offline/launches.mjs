// Counts LibTorch's operations in a training step without graphs: node offline/launches.mjs <device> <file>
// An operation that calls no other counts, unless it only makes a view or an empty tensor; on a GPU most of them are one launch.
import { writeFileSync } from 'node:fs'
import { cases } from '../bench/cases.mjs'
import { makeWeights } from '../bench/inputs.mjs'
import { createFlowTrainer } from '../bench/workers/flow-trainer.mjs'
import { createTrainer, randomImages, stepOptions } from '../bench/workers/tokenizer-trainer.mjs'
import { Generator } from '../dist/generator/generator.js'
import { generatorPresets } from '../dist/generator/presets.js'
import { addon } from '../dist/native/load.js'

/** Views, and what runs on the host. */
const FREE = new RegExp(
  `^aten::(${[
    ...['_?unsafe_view', '_reshape_alias', 'view(_as.*)?', 'as_strided', 't', 'transpose', 'permute', 'expand(_as)?'],
    ...['slice', 'select', 'narrow', 'unsqueeze', 'squeeze', 'chunk', 'split.*', 'unbind', 'detach', 'alias', 'unflatten'],
    ...['empty.*', 'resize_', 'set_', 'result_type', 'is_nonzero', 'reshape', 'contiguous', 'to', 'lift_fresh']
  ].join('|')})_?$`
)

const [device, file] = process.argv.slice(2)

/** @param {() => Promise<unknown>} step */
async function count(step) {
  await step()
  await step()
  await addon().startProfile(device)
  await step()
  const { names, spans } = await addon().stopProfile(device)
  /** @type {Map<number, number>} the begin of the last span that ended, by thread */
  const last = new Map()
  let operations = 0
  for (let i = 0; i < spans.length; i += 5) {
    const [name, thread, , begin, end] = spans.subarray(i, i + 5)
    const isLeaf = (last.get(thread) ?? -1) < begin
    last.set(thread, begin)
    if (isLeaf && end >= begin && names[name].startsWith('aten::') && !FREE.test(names[name])) operations++
  }
  return operations
}

await makeWeights(String(process.env.MACTOK_WEIGHTS))
/** @type {Record<string, number>} */
const found = {}
for (const size of device === 'cpu' ? ['tiny'] : ['tiny', 'vit-b-32']) {
  for (const recipe of ['plain', 'early', 'full']) {
    const shape = { ...cases['tokenizer-full'].sizes[size], batch: 2 }
    const { trainer } = await createTrainer({ ...shape, device, precision: 'bf16', graphs: false, recipe })
    const side = shape.tokenizer.imageSize
    let number = 0
    found[`tokenizer ${size}, ${recipe}`] = await count(async () => {
      const images = addon().tensor(randomImages(number, 2, side), 'uint8', [2, side, side, 3], 'cpu')
      await trainer.step([images], stepOptions(number++, recipe))
      await trainer.metrics()
      images.dispose()
    })
    trainer.dispose?.()
  }
}
for (const preset of device === 'cpu' ? ['sit-tiny'] : ['sit-tiny', 'sit-b', 'sit-xl']) {
  const config = { ...generatorPresets[preset], latentShape: [32, 16], classes: 10 }
  const [generator, ema] = [await Generator.create(config, { device }), await Generator.create(config, { device })]
  const trainer = await createFlowTrainer(generator, ema, { precision: 'bf16', graphs: false })
  let number = 0
  found[`sit ${preset}`] = await count(async () => {
    const latents = addon().tensor(new Float32Array(2 * 32 * 16), 'float32', [2, 32, 16], 'cpu')
    const labels = addon().tensor(new BigInt64Array(2), 'int64', [2], 'cpu')
    await trainer.step([{ latents, labels }], { step: number++, lr: 1e-4 })
    await trainer.metrics()
    for (const tensor of [latents, labels]) tensor.dispose()
  })
}
writeFileSync(file, `${JSON.stringify(found, null, 1)}\n`)
process.exit(0)
