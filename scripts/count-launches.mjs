// node scripts/count-launches.mjs [plain|full|sit] [fp32|bf16] [--graphs] [--json]
// Prints the operations of one training step by name, as the stand-in device counts them (native/testing/device). The networks have
// ViT-B's and SiT-B's number of layers but few channels: the number of launches is that of the real size.
import { run } from '../lib/setup/report.mjs'

Object.assign(process.env, { MACTOK_ADDON: 'mactok_testing', MACTOK_CUDA_LIBRARY: 'mactok_stand_in' })

const device = 'cuda'
const arguments_ = process.argv.slice(2)
const [recipe = 'full', precision = 'bf16'] = arguments_.filter((argument) => !argument.startsWith('--'))
const graphs = arguments_.includes('--graphs')

/** A recorded step is run, recorded, and only then replayed. */
const WARMUP = 3

const vit = {
  width: 24,
  depth: 12,
  heads: 2,
  mlpRatio: 4,
  mlp: 'gelu',
  layerScale: 1,
  cls: true,
  registers: 0,
  positions: 'learned',
  ropeTheta: 10,
  normEps: 1e-6
}
const augment = { probability: 0.5, color: true, translation: 0.125, cutout: 0.2 }
const shared = {
  seed: 1,
  precision,
  graphs,
  optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05, clipNorm: 1 },
  ema: { decay: 0.9999, warmup: true }
}

run(async () => {
  const { addon } = await import('../dist/native/load.js')
  const native = /** @type {import('../test/support/testing-addon.js').TestingAddon} */ (addon())
  native.setThreads(1)
  const step = recipe === 'sit' ? await generatorStep(native) : await tokenizerStep(native, recipe === 'full')
  for (let i = 0; i < WARMUP; i++) await step(i)
  native.deviceCounts()
  await step(WARMUP)
  const { operations, ...counts } = native.deviceCounts()
  const rows = Object.entries(operations).sort(([, a], [, b]) => b - a)
  const launches = rows.reduce((sum, [, count]) => sum + count, 0)
  if (arguments_.includes('--json')) {
    console.log(JSON.stringify({ recipe, precision, graphs, launches, operations, ...counts }))
    return
  }
  for (const [name, count] of rows) console.log(`${String(count).padStart(6)}  ${name}`)
  console.log(
    `${String(launches).padStart(6)}  launches of the host in a step (${recipe}, ${precision}${graphs ? ', graphs' : ''})`
  )
  console.log(JSON.stringify(counts))
})

/** @param {any} native @param {any} network @param {number} deviation */
async function randomise(native, network, deviation) {
  const state = network.state()
  for (const [name, { shape }] of Object.entries(state)) {
    const count = shape.reduce((/** @type {number} */ product, /** @type {number} */ size) => product * size, 1)
    const values = native.normal(1, name, 0, 0, 1, count).map((/** @type {number} */ value) => value * deviation)
    state[name] = native.tensor(values, 'float32', shape, device)
  }
  await network.load(state)
}

/** The method's recipe with all its terms, or (not full) reconstruction and KL alone. @param {any} native @param {boolean} full */
async function tokenizerStep(native, full) {
  const config = {
    imageSize: 32,
    patchSize: 8,
    latentTokens: 4,
    latentChannels: 3,
    bottleneck: 'kl',
    logvarRange: [-30, 20],
    encoder: vit,
    decoder: { ...vit, cls: false },
    prune: true,
    checkpointing: false
  }
  const tokenizer = await native.createTokenizer(config, device, 1)
  const settings = {
    ...shared,
    masking: { target: 'image', minRatio: -0.1, maxRatio: 0.7, semantic: full ? 0.5 : 0, per: 'image' },
    alignment: { local: full, global: full, shared: false, hidden: 16, on: 'sample' },
    reconstruction: 'mse',
    ...(full && {
      discriminator: {
        loss: 'hinge',
        adaptive: false,
        augment,
        strong: { ...augment, probability: 1, cutout: 0.5 },
        consistency: 4,
        lecam: 1e-3,
        lecamDecay: 0.999
      }
    })
  }
  const networks = full ? await lossNetworks(native) : { teacher: null }
  const trainer = await native.createTokenizerTrainer(tokenizer, networks.teacher, settings, networks)
  const weights = {
    reconstruction: 1,
    kl: 1e-6,
    alignment: full ? 0.1 : 0,
    perceptual: +full,
    adversarial: full ? 0.2 : 0
  }
  return (/** @type {number} */ step) => {
    const values = native.uniform(step, 'images', 0, 0, 2, 32 * 32 * 3)
    const data = Uint8Array.from(values, (/** @type {number} */ value) => value * 255)
    return trainer.step([native.tensor(data, 'uint8', [2, 32, 32, 3], device)], { step, lr: 1e-4, weights })
  }
}

/** @param {any} native */
async function lossNetworks(native) {
  const teacher = await native.createTeacher({ vit, patchSize: 14, inputSize: 56 }, device)
  const perceptual = await native.createPerceptual('vgg', device)
  const backbone = { vit: { ...vit, layerScale: null }, patchSize: 8, inputSize: 32, levels: [2, 5, 8, 11], kernel: 9 }
  const discriminator = await native.createDiscriminator(backbone, device, 5)
  await randomise(native, teacher, 0.1)
  await randomise(native, perceptual, 0.05)
  await randomise(native, discriminator, 0.1)
  return { teacher, perceptual, discriminator }
}

/** @param {any} native */
async function generatorStep(native) {
  const config = {
    model: 'sit',
    latentShape: [12, 8],
    patchSize: 1,
    width: 48,
    depth: 12,
    heads: 4,
    mlpRatio: 4,
    classes: 10,
    learnSigma: false,
    qkNorm: false,
    shift: true,
    checkpointing: false
  }
  const [model, ema] = [
    await native.createGenerator(config, device, 1),
    await native.createGenerator(config, device, 1)
  ]
  const trainer = await native.createFlowTrainer(model, ema, {
    ...shared,
    flow: { path: 'linear', prediction: 'velocity', time: 'data_at_1' },
    labelDropout: 0.1,
    loss: { weighting: 'none', direction: 0 },
    timesteps: { kind: 'uniform', mean: 0, deviation: 1, shift: 1 }
  })
  return (/** @type {number} */ step) => {
    const latents = native.tensor(native.normal(step, 'latents', 0, 0, 2, 96), 'float32', [2, 12, 8], device)
    const labels = native.tensor(BigInt64Array.of(1n, 2n), 'int64', [2], device)
    return trainer.step([{ latents, labels }], { step, lr: 1e-4 })
  }
}
