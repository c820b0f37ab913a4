import { z } from 'zod'
import { fraction, natural, positive } from '../../config.js'
import { defaultCrops } from '../../data/train-batches.js'
import { reconstructionMetrics } from '../../evaluation/metric-names.js'
import { dinov2Setting } from '../../evaluation/schema.js'
import { BATCH } from '../../tensor/settings.js'
import { batchCount, gridCount, imageSide, patchSide, tokenWidth } from '../../tensor/sizes.js'
import { tokenizerSchema } from '../../tokenizer/schema.js'
import { computing, keeping, microBatchIssue } from '../schema.js'

const weight = z.number().nonnegative()

/** Masking of method.md §2; the ratio of an image is drawn from U[min, max] and clipped to [0, max]. */
export const maskingSchema = z.strictObject({
  target: z
    .enum(['image', 'latent', 'none'])
    .default('image')
    .describe('what is masked: image tokens (MacTok), the latents before the decoder (a baseline), or nothing'),
  min: z
    .number()
    .min(-1)
    .max(1)
    .default(-0.1)
    .describe('lower end of the drawn mask ratio; below 0 some images stay whole'),
  max: fraction.default(0.7).describe('M, the upper end of the drawn mask ratio'),
  semantic: fraction
    .default(0.5)
    .describe('probability of masking the patches that the teacher finds most important, instead of random ones'),
  per: z.enum(['image', 'batch']).default('image').describe('draw ratio and kind once per image or once per batch')
})

/** Alignment of the latents with the teacher's features, method.md §4. */
export const alignmentSchema = z.strictObject({
  local: z.boolean().default(true).describe("align latents with the teacher's patch tokens"),
  global: z.boolean().default(true).describe("align the mean latent with the teacher's cls"),
  shared: z.boolean().default(false).describe('one head for both instead of two'),
  hidden: tokenWidth.default(1024).describe("width of the heads' hidden layers"),
  on: z.enum(['sample', 'mean']).default('sample').describe('align the sampled latents or their means')
})

export const teacherSchema = z.strictObject({
  weights: z
    .string()
    .nullable()
    .default('dinov2-base')
    .describe('frozen DINOv2 for semantic masks and alignment: a name for `weights pull`, or a folder; null: neither'),
  patchSize: patchSide
    .nullable()
    .default(null)
    .describe("resample the teacher's patches to this side and feed the full image (SoftVQ); null: resize the image"),
  missing: z
    .enum(['error', 'skip'])
    .default('error')
    .describe('where its weights are missing: stop, or report it and train without semantic masks and alignment'),
  cache: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      'folder to cache its features in (auto: in the run folder), so that it sees each image once; for square images that are always taken whole (data.minScale 1)'
    )
})

/** Annealing of the KL weight, a baseline that the paper argues against. */
export const annealSchema = z.strictObject({
  kind: z.enum(['none', 'linear', 'cyclical']).default('none').describe('how the KL weight grows'),
  steps: positive.default(10_000).describe('steps of the linear ramp, or of one cycle'),
  ramp: fraction.default(0.5).describe('fraction of a cycle in which the weight grows from 0; it stays for the rest')
})

export const lossSchema = z.strictObject({
  reconstruction: z.enum(['mse', 'l1']).default('mse').describe('reconstruction loss, mean over all elements'),
  weights: z
    .strictObject({
      reconstruction: weight.default(1).describe('weight of the reconstruction loss'),
      perceptual: weight.default(1).describe('weight of the perceptual loss, where loss.perceptual names a network'),
      adversarial: weight
        .default(0.2)
        .describe("weight of the generator's and the discriminator's losses, where there is a discriminator"),
      kl: weight.default(1e-6).describe('weight of the KL term (a sum over L·Z, a mean over images)'),
      alignment: weight.default(0.1).describe('weight of the alignment loss')
    })
    .prefault({}),
  perceptual: z
    .strictObject({
      weights: z
        .string()
        .nullable()
        .default(null)
        .describe('LPIPS network of the perceptual loss: lpips-vgg, lpips-alex or a path; null: no such loss'),
      warmup: natural.default(10_000).describe('steps in which its weight grows from 0')
    })
    .prefault({}),
  klAnneal: annealSchema.prefault({})
})

/** The discriminator of method.md §5: a frozen DINO with trained heads. */
export const discriminatorSchema = z.strictObject({
  weights: z
    .string()
    .nullable()
    .default(null)
    .describe(
      'frozen backbone: a DINO or DINOv2 by name or folder; auto: DINO v1 S/16 if found, else DINOv2 S/14; null: no discriminator'
    ),
  start: natural
    .default(20_000)
    .describe('first step at which it trains and contributes to the loss; nothing of it is computed before'),
  inputSize: imageSide.default(224).describe("side in pixels of the backbone's input; a multiple of its patch size"),
  loss: z
    .enum(['hinge', 'vanilla', 'non-saturating'])
    .default('hinge')
    .describe('adversarial loss of discriminator and generator'),
  adaptive: z.boolean().default(false).describe("VQGAN's adaptive weight of the generator's term"),
  augment: z
    .strictObject({
      probability: fraction.default(0.5).describe('probability of each DiffAugment policy, drawn once per batch'),
      color: z.boolean().default(true).describe('change brightness, saturation and contrast'),
      translation: fraction.default(0.125).describe('largest shift as a fraction of the side; 0: none'),
      cutout: fraction.default(0.2).describe('side of the square cut out as a fraction of the side; 0: none'),
      strongCutout: fraction.default(0.5).describe('the same in the strong view, in which every policy acts')
    })
    .prefault({}),
  consistency: weight.default(4).describe('weight of the consistency of its logits with those of a strong view'),
  lecam: weight.default(1e-3).describe('weight of LeCAM beside the adversarial loss'),
  lecamDecay: fraction.default(0.999).describe("decay of LeCAM's averages")
})

/** AdamW and its schedule, method.md §6. */
export const optimizerSchema = z.strictObject({
  lr: weight.nullable().default(null).describe('peak learning rate; null: 1e-4 × batch/256'),
  betas: z.tuple([fraction, fraction]).default([0.9, 0.95]).describe("AdamW's betas"),
  eps: z.number().positive().default(1e-8).describe("AdamW's epsilon"),
  weightDecay: weight.default(1e-4).describe('weight decay of matrices'),
  clip: z.number().positive().default(1).describe("largest global norm of a step's gradients"),
  warmup: natural.nullable().default(null).describe('steps of linear warm-up; null: one epoch'),
  final: fraction.default(0.1).describe('end of the cosine as a fraction of the peak')
})

export const dataSchema = z.strictObject({
  minScale: z
    .number()
    .positive()
    .max(1)
    .default(defaultCrops.minScale)
    .describe('random crops come from a short side between size and size/minScale'),
  flip: z.boolean().default(defaultCrops.flip).describe('flip half of the images horizontally'),
  strict: z.boolean().default(false).describe('stop at an unreadable image instead of skipping it'),
  heldOut: natural.default(0).describe('images held out of training for evaluation, where no other folder is given')
})

export const evaluationSchema = z.strictObject({
  every: positive.default(5_000).describe('steps between evaluations on held-out images (EMA weights, never masked)'),
  images: positive.default(1_024).describe('largest number of held-out images in one evaluation'),
  batch: batchCount.default(BATCH).describe('images in one batch of an evaluation'),
  metrics: z
    .array(z.enum(reconstructionMetrics))
    .default([])
    .describe(
      'besides PSNR, active units, KL and mutual information: any of samplePsnr, ssim, lpips, rfid, rkid, rfdDinov2 and rkdDinov2, comma-separated'
    ),
  dinov2: dinov2Setting,
  probe: z
    .enum(['none', 'mean', 'flatten'])
    .default('none')
    .describe(
      "also the accuracy of a linear probe, fitted on every other held-out image's latents (their mean over the tokens, or all) and measured on the rest"
    )
})

export const gridSchema = z.strictObject({
  every: positive
    .nullable()
    .default(5_000)
    .describe('steps between grids of images, their masks and their reconstructions; null: none'),
  images: gridCount.default(8).describe('rows of a grid: held-out images, or training images where there are none'),
  ratio: fraction.default(0.5).describe('fraction of the patches that its masks hide')
})

/** Everything that decides a tokenizer run, with the defaults of method.md §6 and §9. */
export const trainingSchema = z
  .strictObject({
    preset: z.string().nullable().default(null).describe('name of the preset that these settings started from'),
    tokenizer: tokenizerSchema.prefault({}),
    encoderInit: z
      .string()
      .nullable()
      .default(null)
      .describe('DINOv2 weights that initialise the encoder: a name or a folder; null: from scratch'),
    init: z
      .string()
      .nullable()
      .default(null)
      .describe('tokenizer whose averaged weights start this run: a model, checkpoint or run folder'),
    part: z
      .enum(['all', 'decoder'])
      .default('all')
      .describe('what is trained; decoder: encoder and latents stay as in `init`'),
    epochs: z.number().positive().nullable().default(null).describe('passes over the images, instead of steps'),
    steps: positive.default(250_000).describe('optimiser steps; the schedules span them'),
    batch: batchCount.default(256).describe('images in one optimiser step'),
    microBatch: batchCount
      .nullable()
      .default(null)
      .describe('images in one forward and backward pass, whose gradients are accumulated; null: all'),
    seed: natural.default(0).describe('decides weights, order, crops, flips, masks and noise'),
    ...computing,
    masking: maskingSchema.prefault({}),
    align: alignmentSchema.prefault({}),
    teacher: teacherSchema.prefault({}),
    loss: lossSchema.prefault({}),
    discriminator: discriminatorSchema.prefault({}),
    optimizer: optimizerSchema.prefault({}),
    data: dataSchema.prefault({}),
    ...keeping,
    evaluation: evaluationSchema.prefault({}),
    grid: gridSchema.prefault({})
  })
  .superRefine((config, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const { masking, part, init, align, teacher, data } = config
    const unfit = microBatchIssue(config)
    if (unfit) issue(['microBatch'], unfit)
    if (masking.min > masking.max) {
      issue(['masking', 'min'], `expected at most masking.max (${masking.max}) but received ${masking.min}`)
    }
    if (teacher.cache !== null && data.minScale < 1 && part === 'all') {
      const expected = 'expected null where training crops at random (data.minScale below 1)'
      issue(['teacher', 'cache'], `${expected}; data.minScale is ${data.minScale}`)
    }
    if (part === 'decoder') {
      if (init === null) issue(['init'], 'expected a trained tokenizer where only its decoder is trained')
      if (masking.target !== 'none') issue(['masking', 'target'], 'expected none where only the decoder is trained')
      if (align.local || align.global) issue(['align'], 'expected no alignment where only the decoder is trained')
    }
  })

/** A complete, validated configuration. */
export type TrainingConfig = z.output<typeof trainingSchema>
/** What a caller may write; every field is optional. */
export type TrainingConfigInput = z.input<typeof trainingSchema>

/** Whether masking or alignment needs the features of a teacher. */
export const needsTeacher = ({ masking, align, loss }: TrainingConfig): boolean =>
  (masking.target === 'image' && masking.semantic > 0) || ((align.local || align.global) && loss.weights.alignment > 0)
