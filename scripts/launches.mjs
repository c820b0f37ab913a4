/** Counts LibTorch's operations in training steps: of the stand-in device as it counts them, of other devices by LibTorch's profiler. */

/** A recorded step is run, recorded, and only then replayed. */
const WARMUP = 3

/** Views, and what runs on the host. */
const FREE = new RegExp(
  `^aten::(${[
    '_?unsafe_view|_reshape_alias|view(_as.*)?|as_strided|t|transpose|permute|expand(_as)?|slice|select|narrow',
    'unsqueeze|squeeze|chunk|split.*|unbind|detach|alias|unflatten|empty.*|resize_|set_|result_type|is_nonzero',
    'reshape|contiguous|to|lift_fresh'
  ].join('|')})_?$`
)

/** ViT-B's number of layers but few channels: the number of launches is that of the real size. */
const vit = {
  width: 32,
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

/**
 * @typedef {object} Options
 * @property {string} device
 * @property {string} precision
 * @property {boolean} [graphs]
 * @property {number} [depth]  of a generator; SiT-B's is 12
 */

/** @type {Record<string, (native: any, options: Options) => Promise<(step: number) => Promise<unknown>>>} */
const recipes = {
  plain: (native, options) => createTokenizerStep(native, options, { full: false, adversarial: 0 }),
  early: (native, options) => createTokenizerStep(native, options, { full: true, adversarial: 0 }),
  full: (native, options) => createTokenizerStep(native, options, { full: true, adversarial: 0.2 }),
  sit: createGeneratorStep
}
export const recipeNames = Object.keys(recipes)

/**
 * The operations that the host launches in one step, by name; on the stand-in device with everything else that it counts.
 * @param {any} native the testing addon
 * @param {string} recipe `plain`: reconstruction and KL; `early`: all but the discriminator, which waits; `full`; `sit`
 * @param {Options} options
 * @returns {Promise<{ launches: number, operations: Record<string, number> }>}
 */
export async function countLaunches(native, recipe, options) {
  const step = await recipes[recipe](native, options)
  for (let i = 0; i < WARMUP; i++) await step(i)
  const count = process.env.MACTOK_CUDA_LIBRARY === 'mactok_stand_in' ? countOnStandIn : countInProfile
  const counts = await count(native, options.device, () => step(WARMUP))
  return { launches: Object.values(counts.operations).reduce((sum, number) => sum + number, 0), ...counts }
}

/** @param {any} native @param {string} _device @param {() => Promise<unknown>} step */
async function countOnStandIn(native, _device, step) {
  native.deviceCounts()
  await step()
  return native.deviceCounts()
}

/**
 * An operation that calls no other counts, unless it only makes a view or an empty tensor; on a GPU most of them are one launch.
 * @param {any} native @param {string} device @param {() => Promise<unknown>} step
 */
async function countInProfile(native, device, step) {
  await native.startProfile(device)
  await step()
  const { names, spans } = await native.stopProfile(device)
  /** @type {Map<number, number>} the begin of the last span that ended, by thread */
  const last = new Map()
  /** @type {Record<string, number>} */
  const operations = {}
  for (let i = 0; i < spans.length; i += 5) {
    const [id, thread, , begin, end] = spans.subarray(i, i + 5)
    const [name, isLeaf] = [names[id], (last.get(thread) ?? -1) < begin]
    last.set(thread, begin)
    if (isLeaf && end >= begin && name.startsWith('aten::') && !FREE.test(name)) {
      operations[name] = (operations[name] ?? 0) + 1
    }
  }
  return { operations }
}

/** @param {Options} options */
const sharedSettings = ({ precision, graphs = false }) => ({
  seed: 1,
  precision,
  graphs,
  optimizer: { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0.05, clipNorm: 1 },
  ema: { decay: 0.9999, warmup: true }
})

/** @param {any} native @param {string} device @param {any} network @param {number} deviation */
async function randomise(native, device, network, deviation) {
  const state = network.state()
  for (const [name, { shape }] of Object.entries(state)) {
    const count = shape.reduce((/** @type {number} */ product, /** @type {number} */ size) => product * size, 1)
    const values = native.normal(1, name, 0, 0, 1, count).map((/** @type {number} */ value) => value * deviation)
    state[name] = native.tensor(values, 'float32', shape, device)
  }
  await network.load(state)
}

/** @param {any} native @param {Options} options @param {{ full: boolean, adversarial: number }} recipe */
async function createTokenizerStep(native, options, { full, adversarial }) {
  const { device } = options
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
    ...sharedSettings(options),
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
  const networks = full ? await createLossNetworks(native, device) : { teacher: null }
  const trainer = await native.createTokenizerTrainer(tokenizer, networks.teacher, settings, networks)
  const weights = {
    reconstruction: 1,
    kl: 1e-6,
    alignment: full ? 0.1 : 0,
    perceptual: +full,
    adversarial
  }
  return (/** @type {number} */ step) => {
    const values = native.uniform(step, 'images', 0, 0, 2, 32 * 32 * 3)
    const data = Uint8Array.from(values, (/** @type {number} */ value) => value * 255)
    return trainer.step([native.tensor(data, 'uint8', [2, 32, 32, 3], device)], { step, lr: 1e-4, weights })
  }
}

/** @param {any} native @param {string} device */
async function createLossNetworks(native, device) {
  const teacher = await native.createTeacher({ vit, patchSize: 14, inputSize: 56 }, device)
  const perceptual = await native.createPerceptual('vgg', device)
  const backbone = { vit: { ...vit, layerScale: null }, patchSize: 8, inputSize: 32, levels: [2, 5, 8, 11], kernel: 9 }
  const discriminator = await native.createDiscriminator(backbone, device, 5)
  await randomise(native, device, teacher, 0.1)
  await randomise(native, device, perceptual, 0.05)
  await randomise(native, device, discriminator, 0.1)
  return { teacher, perceptual, discriminator }
}

/** @param {any} native @param {Options} options */
async function createGeneratorStep(native, options) {
  const { device, depth = 12 } = options
  const config = {
    model: 'sit',
    latentShape: [12, 8],
    patchSize: 1,
    width: 64,
    depth,
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
    ...sharedSettings(options),
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
