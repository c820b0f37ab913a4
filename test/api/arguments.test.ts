import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  cacheFolder,
  compareRuns,
  concatenate,
  Dinov2,
  decodeShards,
  describeLatents,
  detectDinov2,
  detectLpips,
  deviceMemory,
  dinov2Config,
  encodeImages,
  estimateTraining,
  evaluateGeneration,
  evaluateReconstruction,
  fileWeights,
  findWeights,
  fromFloat32,
  fromImages,
  Generator,
  Inception,
  imageFolder,
  inspect,
  LatentShards,
  LatentStatistics,
  launch,
  loadNetworks,
  Moments,
  mapDinov2,
  mapLpips,
  openLatents,
  openLatentWriter,
  openLpips,
  openReference,
  openWeightsFile,
  pullWeights,
  pushModel,
  readSafetensors,
  reconstruct,
  resolveDevice,
  runAblation,
  sampleImages,
  scope,
  serveRun,
  sweepGuidance,
  Teacher,
  Tokenizer,
  tensor,
  toFloat32,
  trainDecoder,
  trainGenerator,
  trainTokenizer,
  verifyEncoding,
  webDataset,
  writeReport,
  writeSafetensors
} from '../../lib/index.js'
import { Workplace } from '../support/images.js'
import { device } from '../support/native.js'
import { testWhere } from '../support/paths.js'

/** What somebody without types would pass. */
const wrong = (value: unknown) => value as never

type Refusal = [what: string, call: () => unknown, error: ErrorConstructor, message: string]

/** Each call fails by a TypeError or RangeError that names the parameter, what was expected and what came. */
const refuses = (rows: Refusal[]) =>
  test.each(rows)('refuses %s', async (_, call, type, message) => {
    const error = await (async () => call())().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(type)
    expect((error as Error).message).toContain(message)
  })

const place = new Workplace()
const circular: Record<string, unknown> = {}
circular.self = circular
const side = { width: 8, depth: 1, heads: 2 }
const tiny = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 3, encoder: side, decoder: side }
const small = { ...side, latentShape: [4, 3], classes: 2 }
let tokenizer: Tokenizer
let generator: Generator

beforeAll(async () => {
  tokenizer = await Tokenizer.create(tiny, { device })
  generator = await Generator.create(small, { device })
})

describe('encodeImages', () => {
  const encode = (options: unknown) => () =>
    encodeImages(tokenizer, imageFolder('photos'), place.path('out'), wrong(options))
  refuses([
    ['no tokenizer', () => encodeImages(wrong({}), 'photos', 'out'), TypeError, 'a Tokenizer for tokenizer'],
    ['no source', () => encodeImages(tokenizer, wrong(7), 'out'), TypeError, 'for source but received 7'],
    [
      'a source that opens to nothing',
      () => encodeImages(tokenizer, wrong({ name: 'x', open: async () => {} }), place.path('out')),
      TypeError,
      'a source whose open() gives a set of images for source'
    ],
    ['no folder', () => encodeImages(tokenizer, 'photos', wrong(null)), TypeError, 'a path for folder'],
    [
      'a dtype',
      encode({ dtype: 'float8' }),
      RangeError,
      "one of float32, float16, bfloat16 for dtype but received 'float8'"
    ],
    ['moments', encode({ moments: 1 }), TypeError, 'a boolean for moments but received 1'],
    ['sample', encode({ sample: 'yes' }), TypeError, "a boolean for sample but received 'yes'"],
    ['flip', encode({ flip: null }), TypeError, 'a boolean for flip but received null'],
    ['strict', encode({ strict: 0 }), TypeError, 'a boolean for strict but received 0'],
    ['a seed', encode({ seed: -1 }), RangeError, 'a non-negative integer for seed but received -1'],
    ['a shard size', encode({ shardSize: 0 }), RangeError, 'a positive integer for shardSize but received 0'],
    ['a batch', encode({ batch: '8' }), TypeError, "a positive integer for batch but received '8'"],
    [
      'a precision',
      encode({ precision: 'fp8' }),
      RangeError,
      "one of fp32, tf32, bf16 for precision but received 'fp8'"
    ],
    [
      'preprocessing',
      encode({ preprocess: 'slow' }),
      RangeError,
      "one of adm, fast for preprocess but received 'slow'"
    ],
    ['a listener', encode({ onProgress: 1 }), TypeError, 'a function for onProgress but received 1'],
    ['a signal', encode({ signal: {} }), TypeError, 'an AbortSignal for signal']
  ])
})

describe('decodeShards', () => {
  const decode = (options: unknown) => () => decodeShards(tokenizer, 'shards', 'out', wrong(options))
  refuses([
    ['no tokenizer', () => decodeShards(wrong(null), 'shards', 'out'), TypeError, 'a Tokenizer for tokenizer'],
    ['no shards', () => decodeShards(tokenizer, wrong(7), 'out'), TypeError, 'a path for shardFolder but received 7'],
    ['no folder', () => decodeShards(tokenizer, 'shards', ''), TypeError, 'a path for folder'],
    ['a batch', decode({ batch: 0 }), RangeError, 'a positive integer for batch but received 0'],
    ['a precision', decode({ precision: 16 }), RangeError, 'one of fp32, tf32, bf16 for precision but received 16'],
    ['force', decode({ force: 'yes' }), TypeError, "a boolean for force but received 'yes'"],
    ['a listener', decode({ onProgress: {} }), TypeError, 'a function for onProgress'],
    ['a signal', decode({ signal: true }), TypeError, 'an AbortSignal for signal but received true']
  ])
})

describe('reconstruct', () => {
  const make = (options: unknown) => () => reconstruct(tokenizer, 'photos', 'grid.png', wrong(options))
  refuses([
    ['no tokenizer', () => reconstruct(wrong(1), 'photos', 'grid.png'), TypeError, 'a Tokenizer for tokenizer'],
    ['no source', () => reconstruct(tokenizer, wrong({}), 'grid.png'), TypeError, 'for source but received {}'],
    ['no file', () => reconstruct(tokenizer, 'photos', wrong(undefined)), TypeError, 'a path for file'],
    ['a teacher', make({ teacher: 'dinov2-small' }), TypeError, "a Teacher for teacher but received 'dinov2-small'"],
    ['a count', make({ count: 0.5 }), RangeError, 'a positive integer for count but received 0.5'],
    ['a ratio', make({ ratio: 1.5 }), RangeError, 'at most 1 for ratio but received 1.5'],
    ['a seed', make({ seed: -1 }), RangeError, 'a non-negative integer for seed but received -1'],
    ['a precision', make({ precision: '' }), RangeError, 'one of fp32, tf32, bf16 for precision'],
    ['a zoom', make({ zoom: 0 }), RangeError, 'a positive integer for zoom but received 0']
  ])
})

describe('sampleImages', () => {
  const draw = (options: object) => () => sampleImages(generator, tokenizer, wrong({ folder: 'out', ...options }))
  refuses([
    ['no generator', () => sampleImages(wrong({}), tokenizer, {}), TypeError, 'a Generator for generator'],
    ['no tokenizer', () => sampleImages(generator, wrong({}), {}), TypeError, 'a Tokenizer for tokenizer'],
    ['no place', () => sampleImages(generator, tokenizer, wrong(undefined)), TypeError, 'to write to for folder'],
    ['a folder', draw({ folder: 7 }), TypeError, 'a path for folder but received 7'],
    ['a grid', draw({ grid: true }), TypeError, 'a path for grid but received true'],
    ['an archive', draw({ npz: '' }), TypeError, 'a path for npz'],
    ['columns', draw({ columns: 0 }), RangeError, 'a positive integer for columns but received 0'],
    ['a batch', draw({ batch: -1 }), RangeError, 'a positive integer for batch but received -1'],
    ['a count', draw({ count: 1.5 }), RangeError, 'a positive integer for count but received 1.5'],
    ['a first index', draw({ firstIndex: -1 }), RangeError, 'a non-negative integer for firstIndex but received -1'],
    ['force', draw({ force: 1 }), TypeError, 'a boolean for force but received 1'],
    ['a listener', draw({ onProgress: 'x' }), TypeError, "a function for onProgress but received 'x'"],
    ['a signal', draw({ signal: 1 }), TypeError, 'an AbortSignal for signal but received 1']
  ])
})

describe('Generator', () => {
  const draw = (options: unknown) => () => generator.sample(wrong(options))
  refuses([
    ['a setting', () => Generator.create(wrong({ ...small, dept: 1 })), TypeError, 'did you mean depth?'],
    ['a width', () => Generator.create(wrong({ width: 'wide' })), TypeError, "for generator.width but received 'wide'"],
    ['a first seed', () => Generator.create(small, { seed: 0.5 }), RangeError, 'for seed but received 0.5'],
    ['a device', () => Generator.create(small, { device: 'tpu' }), TypeError, "for device but received 'tpu'"],
    ['a folder', () => Generator.load(wrong(7)), TypeError, 'a path for folder but received 7'],
    ['a default precision', () => Generator.load('x', wrong({ precision: 8 })), RangeError, 'for precision'],
    ['a place', () => generator.save(wrong(null)), TypeError, 'a path for folder but received null'],
    ['an option', draw({ step: 3 }), TypeError, 'Unknown setting step; did you mean steps?'],
    ['steps', draw({ steps: 0 }), RangeError, 'for steps but received 0'],
    ['guidance', draw({ guidance: { scal: 2 } }), TypeError, 'Unknown setting guidance.scal; did you mean scale?'],
    ['a precision', draw({ precision: 'half' }), RangeError, "for precision but received 'half'"],
    ['a seed', draw({ seed: -1 }), RangeError, 'a non-negative integer for seed but received -1'],
    ['a first index', draw({ firstIndex: '1' }), TypeError, "a non-negative integer for firstIndex but received '1'"],
    ['a weak generator', draw({ weak: {} }), TypeError, 'a Generator for weak but received {}'],
    ['a tokenizer', draw({ tokenizer: 'x', force: true }), TypeError, "a Tokenizer for tokenizer but received 'x'"],
    ['a listener', draw({ onStep: 1 }), TypeError, 'a function for onStep but received 1'],
    ['a signal', draw({ signal: {} }), TypeError, 'an AbortSignal for signal']
  ])
})

describe('Teacher', () => {
  refuses([
    ['weights', () => Teacher.load(wrong(7), { grid: 4 }), TypeError, 'for name but received 7'],
    ['no grid', () => Teacher.load('dinov2-small', wrong(undefined)), TypeError, 'an integer from 1 to 256 for grid']
  ])
})

describe('tensors', () => {
  const one = () => tensor(Float32Array.of(1, 2))
  refuses([
    ['a value that is not a tensor', () => concatenate(wrong([1])), TypeError, 'for tensors but received'],
    ['a body that is not a function', () => scope(wrong(7)), TypeError, 'a function for body but received 7'],
    ['a device', () => one().to({ device: wrong(7) }), TypeError, 'for device but received 7'],
    ['an unknown device', () => one().to({ device: 'tpu' }), TypeError, 'for device but received tpu'],
    ['a dtype', () => one().to({ dtype: wrong('float8') }), TypeError, "for dtype but received 'float8'"],
    ['a device to ask about', () => deviceMemory('gpu'), TypeError, "for device but received 'gpu'"],
    ['a device to resolve', () => resolveDevice(wrong(0)), TypeError, 'for device but received 0']
  ])
  testWhere(process.platform !== 'darwin', "the error of machines without Apple's GPU")(
    "Apple's GPU is a device that only macOS has",
    async () => {
      const message = 'Device mps is not available: only macOS has it'
      for (const device of ['mps', 'mps:0']) {
        expect(() => resolveDevice(device)).toThrow(new RangeError(message))
        expect(() => tensor(new Float32Array(2), [2], { device })).toThrow(message)
      }
    }
  )
  test('the CPU has no device memory', async () => expect(await deviceMemory('cpu')).toBeNull())
})

describe('trainings', () => {
  const sit = () => trainGenerator('sit-tiny')
  const run = (options: unknown) => () => sit().latents('shards').run(wrong(options))
  refuses([
    ['a preset', () => trainGenerator('sit-tinny'), RangeError, 'did you mean sit-tiny?'],
    ['settings', () => trainGenerator(wrong(null)), TypeError, 'a preset or settings for settings but received null'],
    ['shards', () => sit().latents(wrong(7)), TypeError, 'a path for folder but received 7'],
    ['a tokenizer', () => sit().latents('x', wrong({ tokenizer: 7 })), TypeError, 'for tokenizer but received 7'],
    ['a flow', () => sit().flow(wrong({ path: 'bent' })), RangeError, "flow.path but received 'bent'"],
    ['an event', () => sit().on(wrong('evaluated'), () => {}), RangeError, "for event but received 'evaluated'"],
    ['a listener', () => sit().on('step', wrong(1)), TypeError, 'a function for listener but received 1'],
    ['a run without shards', () => sit().run({ dir: 'x' }), TypeError, 'for latents but received undefined'],
    ['a run without folder', run({}), TypeError, 'a path for dir but received undefined'],
    ['a stop', run({ dir: 'x', stopAt: -1 }), RangeError, 'a positive integer for stopAt but received -1'],
    ['steps', run({ dir: 'x', steps: 'many' }), TypeError, "for steps but received 'many'"],
    [
      'a discriminator',
      () => trainTokenizer('tiny-32').discriminator(wrong({ kernal: 3 })),
      TypeError,
      'discriminator.kernal'
    ],
    ['no run to fine-tune', () => trainDecoder(wrong(7)), TypeError, 'for run but received 7'],
    ['another folder', () => trainDecoder(place.path('')), RangeError, 'the folder of a tokenizer run for run']
  ])
})

describe('files', () => {
  refuses([
    ['nothing to inspect', () => inspect(wrong(undefined)), TypeError, 'a path for path but received undefined'],
    ['no shards', () => openLatents(wrong(7)), TypeError, 'a path for folder but received 7'],
    ['no file of weights', () => readSafetensors(wrong(7)), TypeError, 'a path for path but received 7'],
    ['no name of weights', () => findWeights(wrong(7)), TypeError, 'for name but received 7'],
    ['no name of LPIPS', () => openLpips(wrong(7)), TypeError, 'for nameOrPath but received 7'],
    ['no repository', () => pullWeights(wrong(7)), TypeError, 'for repo but received 7'],
    [
      'no attempts',
      () => pullWeights('a/b', { attempts: 0 }),
      RangeError,
      'a positive integer for attempts but received 0'
    ],
    ['nothing to push', () => pushModel(wrong(7), 'a/b'), TypeError, 'a path for folder but received 7'],
    ['no repository to push to', () => pushModel('x', wrong(7)), TypeError, 'for repo but received 7'],
    ['a listener of pushes', () => pushModel('x', 'a/b', { onProgress: wrong(7) }), TypeError, 'for onProgress'],
    ['a delay', () => pullWeights('a/b', { retryDelay: -1 }), RangeError, 'for retryDelay but received -1'],
    ['a listener of pulls', () => pullWeights('a/b', { onNotice: wrong(7) }), TypeError, 'for onNotice'],
    ['a shape', () => new LatentStatistics([0], [1], wrong([4])), RangeError, 'for sampleShape']
  ])
})

describe('misspelt options', () => {
  const training = () => trainTokenizer('tiny-32').data('photos')
  refuses([
    [
      'of run',
      () => training().run(wrong({ dir: 'x', resum: true })),
      TypeError,
      'Unknown setting resum; did you mean resume?'
    ],
    [
      'of data',
      () => trainTokenizer('tiny-32').data('photos', wrong({ heldout: 'x' })),
      TypeError,
      'did you mean heldOut?'
    ],
    ['of teacher', () => training().teacher(null, wrong({ patchsize: 1 })), TypeError, 'did you mean patchSize?'],
    [
      'of latents',
      () => trainGenerator('sit-tiny').latents('x', wrong({ tokeniser: 'x' })),
      TypeError,
      'mean tokenizer?'
    ],
    ['of serveRun', () => serveRun('x', wrong({ prt: 1 })), TypeError, 'Unknown setting prt; did you mean port?'],
    ['of writeReport', () => writeReport('x', wrong({ output: 1 })), TypeError, 'Unknown setting output'],
    ['of runAblation', () => runAblation('collapse', wrong({}), wrong({ out: 'x', arm: [] })), TypeError, 'mean arms?'],
    ['that are none', () => writeReport('x', wrong(7)), TypeError, 'an object for options but received 7']
  ])
})

describe('what a full run of test:faults -- --only abuse found:', () => {
  const noOptions = 'an object for options but received null'
  refuses([
    ['null as options of encodeImages', () => encodeImages(tokenizer, 'x', 'y', wrong(null)), TypeError, noOptions],
    ['of verifyEncoding', () => verifyEncoding(tokenizer, 'x', 'y', wrong(null)), TypeError, noOptions],
    ['of decodeShards', () => decodeShards(tokenizer, 'x', 'y', wrong(null)), TypeError, noOptions],
    ['of reconstruct', () => reconstruct(tokenizer, 'x', 'y', wrong(null)), TypeError, noOptions],
    ['of evaluateReconstruction', () => evaluateReconstruction(tokenizer, 'x', wrong(null)), TypeError, noOptions],
    ['of openReference', () => openReference({}, 'x', wrong(null)), TypeError, noOptions],
    ['of evaluateGeneration', () => evaluateGeneration({}, wrong({}), wrong({}), wrong(null)), TypeError, noOptions],
    ['of describeLatents', () => describeLatents(wrong({}), 'x', wrong(null)), TypeError, noOptions],
    ['of imageFolder', () => imageFolder('x', wrong(null)), TypeError, noOptions],
    ['of openLatentWriter', () => openLatentWriter('x', wrong({}), wrong(null)), TypeError, noOptions],
    ['of loadNetworks', () => loadNetworks(['kid'], wrong(null)), TypeError, noOptions],
    ['of serveRun', () => serveRun('x', wrong(null)), TypeError, noOptions],
    ['of tensor', () => tensor(new Float32Array(1), [1], wrong(null)), TypeError, noOptions],
    ['a path with a null character', () => readSafetensors('\0'), RangeError, 'without null characters for path'],
    ['names of weights', () => mapDinov2(wrong(new Map([[1, 1]]))), TypeError, 'tensors by name'],
    [
      'a name of weights that contains itself',
      () => detectDinov2(wrong([[[[]]]])),
      TypeError,
      'names of tensors for names'
    ],
    [
      'images that cannot be iterated',
      () =>
        evaluateGeneration({}, wrong({ name: 'x', total: 1, batches: () => ({}) }), wrong({ gaussians: {} }), {
          metrics: []
        }),
      TypeError,
      'can be iterated'
    ],
    ['a layout of __proto__', () => mapDinov2(new Map(), wrong('__proto__')), RangeError, "for known but received '__"],
    ['a list with holes', () => concatenate(new Array(3)), TypeError, 'a non-empty array of tensors for tensors'],
    ['images with holes', () => fromImages(new Array(3)), TypeError, 'for images[0] but received undefined'],
    [
      'a width that is no number',
      () => fromImages([{ data: new Uint8Array(3), width: wrong(0n), height: 1 }]),
      TypeError,
      'a positive integer for images[0].width'
    ],
    ['a dtype that contains itself', () => toFloat32(new Uint8Array(4), wrong([[[]]])), TypeError, 'for dtype'],
    [
      'a cache that is no text',
      () => cacheFolder({ MACTOK_CACHE: wrong(7) }),
      TypeError,
      'a text for env.MACTOK_CACHE'
    ],
    ['an object of seconds', () => webDataset('x', { stallSeconds: wrong({}) }), TypeError, 'for stallSeconds'],
    ['a preset that is a number', () => trainTokenizer('tiny-32').set({ preset: wrong(7) }), RangeError, 'for preset'],
    [
      'a typed array of settings',
      () =>
        sweepGuidance(async () => ({}) as never, {
          axes: wrong(new Float32Array()),
          scales: wrong(new Float32Array(2))
        }),
      TypeError,
      'Expected'
    ]
  ])
  test('Moments refuses values and prefixes of other types', async () => {
    using moments = await Moments.create(2)
    await expect(moments.load(wrong(undefined))).rejects.toThrow('arrays count, mean and scatter for values')
    await expect(moments.state(wrong(Symbol('x')))).rejects.toThrow('a text for prefix')
    await expect(Moments.create(2 ** 31)).rejects.toThrow('more than the')
  })
})

describe('launch', () => {
  const start = (options: object) => () => launch(wrong({ command: ['node'], nproc: 1, ...options }))
  refuses([
    [
      'no program',
      start({ command: [] }),
      TypeError,
      'Expected a program and its arguments for command but received []'
    ],
    ['no ranks', start({ nproc: 0 }), RangeError, 'Expected a positive integer for nproc but received 0'],
    [
      'a machine too many',
      start({ nnodes: 2, nodeRank: 2 }),
      RangeError,
      'an integer from 0 to 1 for nodeRank but received 2'
    ],
    [
      'several machines without an address',
      start({ nnodes: 2 }),
      RangeError,
      'host:port of rank 0 for several machines for rdzv'
    ],
    [
      'an address without a port',
      start({ rdzv: 'gpu0' }),
      RangeError,
      "Expected host:port or file:///path for rdzv but received 'gpu0'"
    ],
    ['an unknown option', start({ nprocs: 2 }), TypeError, 'Unknown setting nprocs; did you mean nproc?']
  ])
})

describe('distributed', () => {
  const distributed = (options: unknown) => () => trainTokenizer('tiny-32').distributed(wrong(options))
  refuses([
    ['a timeout of no time', distributed({ timeout: 0 }), RangeError, 'distributed.timeout'],
    [
      'an unknown setting',
      distributed({ shard: true }),
      TypeError,
      'Unknown setting distributed.shard; did you mean sharded?'
    ]
  ])
})

describe('writeSafetensors', () => {
  const one = { name: 'a', dtype: 'float32', shape: [3], data: new Float32Array(3) } as const
  const write = (tensors: unknown, metadata?: unknown) => () =>
    writeSafetensors(place.path('refused.safetensors'), wrong(tensors), wrong(metadata))
  refuses([
    ['no path', () => writeSafetensors(wrong(7), []), TypeError, 'a path for file but received 7'],
    ['no tensors', write(null), TypeError, 'an array for tensors but received null'],
    ['no tensor', write([null]), TypeError, 'an object for tensors[0] but received null'],
    ['a name', write([{ ...one, name: 7 }]), TypeError, "a tensor's name for name but received 7"],
    ['a shape', write([{ ...one, shape: 3 }]), TypeError, 'an array of sizes for shape of "a" but received 3'],
    ['no data', write([{ ...one, data: 7 }]), TypeError, 'a typed array for data of "a" but received 7'],
    [
      'produced nonsense',
      write([{ ...one, data: () => 7 }]),
      TypeError,
      'a typed array for data of "a" but received 7'
    ],
    ['chunks', write([{ ...one, data: () => ['x'] }]), TypeError, 'a typed array for data of "a" but received \'x\''],
    ['metadata', write([one], 7), TypeError, 'an object of texts for metadata but received 7'],
    ['a number in metadata', write([one], { a: 7 }), TypeError, 'a text for metadata.a but received 7']
  ])
})

describe('openLatentWriter', () => {
  const plan = {
    names: ['a'],
    labels: [0],
    shape: [1, 1],
    dtype: 'float32',
    moments: false,
    shardSize: 1,
    tokenizer: 't'
  }
  const open = (changes: object) => () => openLatentWriter(place.path('shards'), wrong({ ...plan, ...changes }))
  refuses([
    ['no folder', () => openLatentWriter(wrong(7), wrong(plan)), TypeError, 'a path for folder but received 7'],
    ['no plan', () => openLatentWriter('x', wrong(null)), TypeError, 'an object for plan but received null'],
    ['a name', open({ names: [7] }), TypeError, 'a name for names[0] but received 7'],
    ['labels', open({ labels: 7 }), TypeError, 'an array of integers for labels but received 7'],
    ['a shape', open({ shape: 7 }), TypeError, '[L, Z] for shape but received 7'],
    ['moments', open({ moments: 7 }), TypeError, 'a boolean for moments but received 7']
  ])
})

describe('a model without settings', () => {
  refuses(
    [0, false, null, undefined, [], new Float32Array(0), new Map(), /x/].flatMap((input): Refusal[] => [
      [`tokenizer of ${input}`, () => Tokenizer.create(wrong(input)), TypeError, 'a preset or settings for config'],
      [`training of ${input}`, () => trainTokenizer(wrong(input)), TypeError, 'a preset or settings for settings'],
      [`generator of ${input}`, () => trainGenerator(wrong(input)), TypeError, 'a preset or settings for settings']
    ])
  )
})

describe('functions of weights', () => {
  refuses([
    ['fileWeights', () => fileWeights(wrong(null)), TypeError, 'an open safetensors file for file'],
    ['openWeightsFile', () => openWeightsFile(wrong(null)), TypeError, 'a path for path but received null'],
    ['detectDinov2', () => detectDinov2(wrong(null)), TypeError, 'names of tensors for names but received null'],
    ['dinov2Config', () => dinov2Config(wrong(null)), TypeError, 'tensors by name'],
    ['mapDinov2', () => mapDinov2(wrong(null)), TypeError, 'tensors by name'],
    ['detectLpips', () => detectLpips(wrong(null)), TypeError, 'tensors by name'],
    ['mapLpips', () => mapLpips(wrong(null)), TypeError, 'tensors by name'],
    ['toFloat32', () => toFloat32(wrong(null), 'float32'), TypeError, 'a Uint8Array for bytes but received null'],
    ['fromFloat32', () => fromFloat32(wrong(null), 'float32'), TypeError, 'a Float32Array for values'],
    ['loadNetworks', () => loadNetworks(wrong(null)), TypeError, 'an array of metrics for metrics but received null'],
    ['a metric', () => loadNetworks(wrong(['psnr'])), RangeError, "for metrics but received 'psnr'"],
    ['Inception', () => Inception.load(wrong(null)), TypeError, 'an object for options but received null'],
    ['Dinov2', () => Dinov2.load(wrong(null)), TypeError, 'an object for options but received null'],
    ['a sweep', () => sweepGuidance(wrong(null), wrong({})), TypeError, 'a function for evaluate'],
    ['statistics', () => LatentStatistics.fromJSON(wrong(null)), TypeError, 'for statistics but received null'],
    ['means', () => LatentStatistics.fromJSON(wrong({ sampleShape: [4, 3] })), TypeError, 'numbers for mean'],
    ['a shape', () => LatentStatistics.fromJSON(wrong({})), TypeError, '[L, Z] or [C, H, W] for sampleShape'],
    ['a file of statistics', () => LatentStatistics.fromFile(wrong(7)), TypeError, 'for file but received 7'],
    ['scalars', () => LatentStatistics.fromFile(wrong({}), 'scalar'), TypeError, 'a mean and a std for file.scalar'],
    [
      'latents',
      () => new LatentStatistics([0], [1], [4, 3]).denormaliseTensor(wrong('x')),
      TypeError,
      "a Tensor for latents but received 'x'"
    ],
    [
      'settings in a circle',
      () => trainTokenizer('tiny-32').loss(wrong(circular)),
      TypeError,
      'do not contain themselves'
    ],
    ['compareRuns', () => compareRuns(['a', 'b'], wrong(null)), TypeError, 'an object for options but received null'],
    [
      'no target',
      () => tensor(new Float32Array(1), [1]).to(wrong(undefined)),
      TypeError,
      'an object with device or dtype for target'
    ],
    ['LatentShards', () => LatentShards.open(wrong(undefined)), TypeError, 'a path for folder'],
    ['estimateTraining', () => estimateTraining(wrong({})), TypeError, 'the name of a preset for preset'],
    ['cacheFolder', () => cacheFolder(wrong(null)), TypeError, 'for env but received null']
  ])
})

describe('after dispose', () => {
  const disposed = { code: 'ERR_DISPOSED' }

  test('a generator', async () => {
    const gone = await Generator.create(small, { device })
    gone.dispose()
    expect(() => gone.device).toThrow(expect.objectContaining(disposed))
    await expect(gone.save(place.path('gone'))).rejects.toMatchObject(disposed)
    await expect(gone.sample({ count: 1 })).rejects.toMatchObject(disposed)
  })

  test('moments', async () => {
    const gone = await Moments.create(3)
    gone.dispose()
    await expect(gone.count()).rejects.toMatchObject(disposed)
    await expect(gone.add(tensor(new Float32Array(3), [1, 3]))).rejects.toMatchObject(disposed)
  })
})

test('gather refuses places that are none', async () => {
  const one = { name: 'a', dtype: 'float32', shape: [3], data: new Float32Array(3) } as const
  await writeSafetensors(place.path('gather.safetensors'), [one])
  await using file = await readSafetensors(place.path('gather.safetensors'))
  const bytes = new Uint8Array(4)
  await expect(file.gather(wrong(Promise.resolve()), [0], 4, bytes)).rejects.toThrow('for offsets')
  await expect(file.gather([0], [-1], 4, bytes)).rejects.toThrow('a non-negative integer for positions[0]')
  await expect(file.gather([0], [1], 4, bytes)).rejects.toThrow('with room for 4 bytes for positions')
  await expect(file.gather([0], [0], 4, wrong([]))).rejects.toThrow('a Uint8Array for destination')
})
