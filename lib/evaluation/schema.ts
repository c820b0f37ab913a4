/** Settings of the evaluations; each default stands here and nowhere else. */

import { z } from 'zod'
import { fraction, natural, positive } from '../config.js'
import { orientations } from '../data/decode.js'
import { batchSetting, precisionSetting, seedSetting } from '../tensor/settings.js'
import { imageSide } from '../tensor/sizes.js'
import { inceptionName } from '../weights/inception.js'
import {
  admMetrics,
  featureNetworks,
  generationMetrics,
  inceptionInputs,
  reconstructionMetrics,
  sweepAxes
} from './metric-names.js'

const inceptionSetting = z
  .string()
  .default(inceptionName)
  .describe("FID's Inception, a name or a path; with fc it also gives the Inception score")

/** The default of the paper that proposed the metric. */
export const dinov2Setting = z
  .string()
  .default('dinov2-large')
  .describe("DINOv2 of fdDinov2 and kdDinov2, a name or a folder; published numbers are dinov2-large's")

const orientationSetting = z
  .enum(orientations)
  .default('apply')
  .describe('apply: turn images as their EXIF says; ignore: as stored, as references of published FIDs do')

/** Settings of `evaluateReconstruction`. */
export const reconstructionSchema = z.strictObject({
  metrics: z
    .array(z.enum(reconstructionMetrics))
    .readonly()
    .optional()
    .describe(
      'metrics besides PSNR and those of the posterior (default: those of ssim, lpips and rfid whose weights are found)'
    ),
  lpips: z.string().optional().describe('weights of LPIPS (default: lpips-alex where it is found, else lpips-vgg)'),
  inception: inceptionSetting,
  dinov2: dinov2Setting,
  count: positive.optional().describe('images, spread over the listing (default: all)'),
  orientation: orientationSetting,
  batch: batchSetting,
  precision: precisionSetting
})

/** Settings of `gather`. */
export const gatherSchema = z.strictObject({
  batch: batchSetting,
  spatial: z.boolean().default(false).describe("also gather sFID's features"),
  features: z
    .array(z.enum(featureNetworks))
    .readonly()
    .default([])
    .describe("networks of which every image's features are kept, 8 KB each of Inception's")
})

const generationMetricsSetting = z
  .array(z.enum(generationMetrics))
  .readonly()
  .default(admMetrics)
  .describe('metrics to compute')

/** Settings of `openReference` and `referenceStatistics`. */
export const referenceSchema = z.strictObject({
  metrics: generationMetricsSetting,
  size: imageSide
    .optional()
    .describe("side of the images' centre crops in pixels (default: the first one's short side)"),
  count: positive.optional().describe('reference images, spread over the listing (default: all)'),
  orientation: orientationSetting,
  batch: batchSetting
})

/** Settings of `evaluateGeneration`. */
export const generationSchema = z.strictObject({ metrics: generationMetricsSetting, batch: batchSetting })

/** Settings of `Inception.load`, without its device. */
export const inceptionSchema = z.strictObject({
  weights: inceptionSetting,
  input: z
    .enum(inceptionInputs)
    .default('pytorch')
    .describe("how images reach 299 × 299 pixels: as in pytorch-fid, or as in ADM's evaluator (TensorFlow)"),
  precision: precisionSetting
})

/** Settings of `Dinov2.load`, without its device. */
export const dinov2Schema = z.strictObject({ weights: dinov2Setting, precision: precisionSetting })

const interval = z
  .tuple([fraction, fraction])
  .refine(([low, high]) => low <= high, 'expected low:high with low <= high')
  .readonly()

/** Settings of `sweepGuidance`. */
export const sweepSchema = z.strictObject({
  axes: z
    .array(z.enum(sweepAxes))
    .min(1)
    .readonly()
    .describe('what to try, one after the other, each at the best of the one before: guidance, interval'),
  scales: z
    .array(z.number())
    .min(1)
    .readonly()
    .default([1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4])
    .describe('guidance scales to try'),
  intervals: z
    .array(interval)
    .min(1)
    .readonly()
    .default([1, 0.9, 0.8].flatMap((high) => [0, 0.1, 0.2, 0.3].map((low): [number, number] => [low, high])))
    .describe('guidance intervals to try'),
  by: z
    .enum(generationMetrics)
    .optional()
    .describe(
      'metric that decides: the lowest distance, the highest of others (default: fid, or the first of the metrics where fid is not among them)'
    )
})

/** Settings of `fitProbe`. */
export const fitSchema = z.strictObject({
  l2: z.number().nonnegative().default(1e-3).describe('weight of the penalty ½‖W‖² beside the mean cross-entropy'),
  iterations: positive.default(1_000).describe('largest number of L-BFGS iterations')
})

/** Settings of `probe`. */
export const probeSchema = fitSchema.extend({
  features: z
    .enum(['mean', 'flatten', 'cls', 'patches'])
    .optional()
    .describe('mean (over tokens) or flatten of latents; cls or patches (mean) of a teacher (default: mean, cls)'),
  fold: z.number().int().min(2).default(5).describe('without validation images, one of so many images is held out'),
  images: positive
    .optional()
    .describe('largest number of images of each source, spread over its listing (default: all)'),
  sample: z.boolean().default(false).describe('use samples of the posteriors (seed 0) instead of their means'),
  batch: batchSetting,
  precision: precisionSetting
})

/** Settings of `encodeSamples` and `readSamples`. */
export const latentSampleSchema = z.strictObject({
  count: positive.default(2_000).describe('largest number of images, spread over the listing'),
  batch: batchSetting,
  precision: precisionSetting
})

/** Settings of `describeLatents`. */
export const latentSpaceSchema = z.strictObject({
  tokens: positive.default(12).describe('tokens to perturb, spread over all'),
  neighbours: natural.default(15).describe('neighbours of UMAP; 0: no UMAP'),
  seed: seedSetting.describe('seed of UMAP')
})

/** Settings of `generatedImages` beside those of sampling. */
export const drawSchema = z.strictObject({
  count: positive.default(50_000).describe('samples to draw'),
  seed: seedSetting.describe('seed of noise and classes')
})
