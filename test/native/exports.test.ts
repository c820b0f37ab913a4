import { spawnSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import type {
  Addon,
  NativeDiscriminator,
  NativeGenerator,
  NativePerceptual,
  NativeTokenizerTrainer
} from '../../lib/native/addon.js'
import { tokenizerConfig, trainerConfig } from '../support/native.js'

// The types list every name, and the compiler refuses a list that lacks one or has another.

const functions: Record<keyof Addon, true> = {
  compute: true,
  createDiscriminator: true,
  createFlowTrainer: true,
  createGenerator: true,
  createInception: true,
  createMoments: true,
  createPerceptual: true,
  createSampler: true,
  createTeacher: true,
  createTokenizer: true,
  createTokenizerTrainer: true,
  deviceMemory: true,
  frechetDistance: true,
  imageMask: true,
  inManifold: true,
  info: true,
  kernelDistance: true,
  linearProbe: true,
  mapFile: true,
  memory: true,
  mutualInformation: true,
  neighbourRadii: true,
  normal: true,
  openProcessGroup: true,
  peek: true,
  principalComponents: true,
  readTorchArchive: true,
  resample: true,
  resamplePatchKernel: true,
  resamplePositions: true,
  setThreads: true,
  startProfile: true,
  stopProfile: true,
  structuralSimilarity: true,
  tensor: true,
  uniform: true
}

const perceptual: Record<keyof NativePerceptual, true> = {
  device: true,
  dispose: true,
  distance: true,
  load: true,
  state: true
}

const trainer: Record<keyof NativeTokenizerTrainer, true> = {
  dispose: true,
  ema: true,
  gather: true,
  load: true,
  metrics: true,
  release: true,
  shareAverage: true,
  state: true,
  step: true,
  tokenizer: true
}

const network: Record<keyof NativeGenerator | keyof NativeDiscriminator, true> = {
  device: true,
  dispose: true,
  load: true,
  state: true
}

/** Runs a program with the addon that ships, in a process of its own. */
function runShipped(program: string) {
  const load = JSON.stringify(new URL('../../dist/native/load.js', import.meta.url).href)
  const code = `const { addon } = await import(${load}); const native = addon(); ${program}`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
    env: { ...process.env, MACTOK_ADDON: undefined }
  })
  return JSON.parse(stdout)
}

test('the addon that ships exports what its types list, and nothing else', () => {
  const exported = runShipped('console.log(JSON.stringify(Object.keys(native)))')
  expect(exported.toSorted()).toEqual(Object.keys(functions))
})

test('its handles have the methods that their types list, and no others', () => {
  const generator = {
    model: 'sit',
    latentShape: [12, 8],
    patchSize: 1,
    width: 8,
    depth: 1,
    heads: 2,
    mlpRatio: 4,
    classes: 3,
    learnSigma: false,
    checkpointing: false
  }
  const discriminator = { vit: tokenizerConfig().encoder, patchSize: 4, inputSize: 16, levels: [0, 1], kernel: 3 }
  const alone = trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } })
  const methods = runShipped(`
    const methodsOf = (handle) => Object.getOwnPropertyNames(Object.getPrototypeOf(handle)).filter((name) => name !== 'constructor').sort()
    const tokenizer = await native.createTokenizer(${JSON.stringify(tokenizerConfig())}, 'cpu', 0)
    console.log(JSON.stringify({
      trainer: methodsOf(await native.createTokenizerTrainer(tokenizer, null, ${JSON.stringify(alone)})),
      perceptual: methodsOf(await native.createPerceptual('alex', 'cpu')),
      generator: methodsOf(await native.createGenerator(${JSON.stringify(generator)}, 'cpu', 0)),
      discriminator: methodsOf(await native.createDiscriminator(${JSON.stringify(discriminator)}, 'cpu', 0))
    }))`)
  expect(methods).toEqual({
    trainer: Object.keys(trainer),
    perceptual: Object.keys(perceptual),
    generator: Object.keys(network),
    discriminator: Object.keys(network)
  })
})
