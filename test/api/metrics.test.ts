import { beforeAll, expect, test } from '@jest/globals'
import {
  describeLatents,
  encodeSamples,
  evaluateGeneration,
  evaluateReconstruction,
  frechetDistance,
  generatedImages,
  Inception,
  imageFolder,
  lineChart,
  Moments,
  mutualInformation,
  openImages,
  openReference,
  precisionRecall,
  probe,
  readSamples,
  referenceStatistics,
  ssim,
  sweepGuidance,
  Tokenizer,
  tensor
} from '../../lib/index.js'
import { device } from '../support/native.js'

/** What somebody without types would pass. */
const wrong = (value: unknown) => value as never

const side = { width: 8, depth: 1, heads: 2 }
let tokenizer: Tokenizer
beforeAll(async () => {
  const tiny = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 3, encoder: side, decoder: side }
  tokenizer = await Tokenizer.create(tiny, { device })
})

const photos = imageFolder('photos')
const features = tensor(new Float32Array(40), [10, 4])
const never = async () => ({ images: 1, notices: [] })
const samples = {
  count: 1,
  tokens: 1,
  channels: 1,
  means: new Float32Array(1),
  logvars: null,
  labels: new Int32Array(1),
  classes: null
}

const vector = tensor(new Float64Array(2))
const axes = { title: 'a', xLabel: 'x', yLabel: 'y' }

test.each<[string, () => unknown, string]>([
  ['no tokenizer', () => evaluateReconstruction(wrong({}), photos), 'a Tokenizer for tokenizer'],
  ['no source', () => evaluateReconstruction(tokenizer, wrong(7), { metrics: [] }), 'for source but received 7'],
  ['a batch of 0', () => evaluateReconstruction(tokenizer, photos, { batch: 0 }), 'a positive integer for batch'],
  ['half a count', () => evaluateReconstruction(tokenizer, photos, { count: 0.5 }), 'a positive integer for count'],
  ['a precision', () => evaluateReconstruction(tokenizer, photos, { precision: wrong('int8') }), 'for precision'],
  [
    'a listener',
    () => evaluateReconstruction(tokenizer, photos, { onProgress: wrong(1) }),
    'a function for onProgress'
  ],
  ['no Inception', () => evaluateGeneration({}, wrong({}), wrong({})), 'an Inception, which fid needs for inception'],
  [
    'no reference',
    () => evaluateGeneration({}, wrong({ batches() {} }), wrong({}), { metrics: [] }),
    'a reference such as openReference(path) gives for against'
  ],
  ['another Inception', () => openReference({ inception: wrong({}) }, 'x.npz'), 'an Inception for inception'],
  ['no DINOv2', () => openReference({}, 'x.npz', { metrics: ['kdDinov2'] }), 'a Dinov2, which kdDinov2 needs'],
  ['a resize', () => Inception.load({ input: wrong('bicubic') }), 'one of pytorch, tensorflow for input'],
  ['no path', () => openImages(wrong(1)), 'a path for path'],
  ['a size', () => openImages('x', { size: -1 }), 'a positive integer for size'],
  ['no features', () => precisionRecall(wrong([]), features), 'a Tensor for real'],
  ['no neighbour', () => precisionRecall(features, features, { k: 0 }), 'a positive integer for k'],
  ['no image', () => ssim(wrong(1), wrong(2)), 'a Tensor for a'],
  ['an axis', () => sweepGuidance(never, { axes: wrong(['scale']) }), 'some of guidance, interval for axes'],
  ['a metric', () => sweepGuidance(never, { axes: ['guidance'], by: wrong('psnr') }), 'for by but received'],
  ['a count of 0', () => encodeSamples(tokenizer, photos, { count: 0 }), 'a positive integer for count'],
  [
    'a source',
    () => encodeSamples(tokenizer, wrong({})),
    'an image source such as imageFolder(path), or a path for source'
  ],
  ['no options', () => encodeSamples(tokenizer, photos, wrong(null)), 'an object for options but received null'],
  ['no folder', () => describeLatents(samples, wrong(undefined)), 'a path for folder'],
  ['no samples', () => describeLatents(wrong(null), 'x'), 'for samples but received null'],
  ['no posteriors', () => mutualInformation(wrong(null)), 'for posteriors but received null'],
  [
    'short posteriors',
    () =>
      mutualInformation({ count: 2, tokens: 1, channels: 1, means: new Float32Array(1), logvars: new Float32Array(2) }),
    '2 × 1 × 1 values for posteriors.means but received 1'
  ],
  ['no shards', () => readSamples(wrong(null)), 'latent shards for shards but received null'],
  ['no generator', () => generatedImages(wrong(null), wrong(null), 1), 'a Generator for generator'],
  ['a model to probe', () => probe(wrong({}), photos), 'a tokenizer or a teacher for model'],
  ['images to probe', () => probe(tokenizer, wrong(7)), 'for source but received 7'],
  ['no networks', () => referenceStatistics(wrong(null), 'x', 'y.npz'), 'for networks but received null'],
  ['no file', () => referenceStatistics({}, 'x', wrong(7)), 'a path for file but received 7'],
  ['no Gaussian', () => frechetDistance(wrong(null), wrong(null)), 'a mean and a covariance for a but received null'],
  ['an empty Gaussian', () => frechetDistance(wrong({}), wrong({})), 'a Tensor for a.mean'],
  [
    'a vector of covariances',
    () => frechetDistance(wrong({ mean: vector, covariance: vector }), wrong({})),
    "float64 [D, D] for a.covariance but received 'float64 [2]'"
  ],
  ['a width', () => Moments.create(wrong(null)), 'a positive integer for width'],
  ['no rows', async () => (await Moments.create(2)).add(wrong(null)), 'a Tensor for rows'],
  ['no chart', () => lineChart(wrong(null)), 'an object for chart but received null'],
  ['an empty chart', () => lineChart(wrong({})), 'a text for title but received undefined'],
  ['a chart of nothing', () => lineChart({ ...axes, series: wrong([null]) }), 'an object for series[0]'],
  [
    'no points',
    () => lineChart({ ...axes, series: [{ name: 'a', points: wrong(7) }] }),
    'an array for series[0].points'
  ],
  [
    'a height',
    () => lineChart({ ...axes, series: [{ name: 'a', points: [{ x: 1, y: wrong('2') }] }] }),
    'a number for y'
  ],
  ['a script for a width', () => lineChart({ ...axes, series: [], width: wrong('<script>') }), 'integer for width'],
  [
    'half a neighbour',
    () => describeLatents(samples, 'x', { neighbours: 0.5 }),
    'a non-negative integer for neighbours'
  ]
])('metrics refuse %s', async (_, call, message) => {
  const error = await (async () => call())().catch((thrown: unknown) => thrown)
  expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
  expect((error as Error).message).toContain(message)
})
