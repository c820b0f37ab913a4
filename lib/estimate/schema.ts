import { z } from 'zod'
import { positive } from '../config.js'
import { precisions } from '../tensor/settings.js'
import { type GpuName, gpus } from './hardware.js'

const rate = z.number().positive()

/** Settings of `estimateTraining`. */
export const estimateSchema = z.strictObject({
  gpu: z
    .enum(Object.keys(gpus) as [GpuName, ...GpuName[]])
    .default('h100')
    .describe('what the run would train on'),
  gpus: positive.default(1).describe('GPUs of a machine'),
  nodes: positive.default(1).describe('machines'),
  network: rate.default(25).describe('GB/s that each GPU sends to other machines'),
  batch: positive.optional().describe("samples in one optimiser step (default: the preset's)"),
  microBatch: positive
    .optional()
    .describe('samples of all GPUs in one forward and backward pass (default: the most that fits)'),
  precision: z.enum(precisions).optional().describe("fp32, tf32 or bf16 (default: the settings', else bf16)"),
  checkpointing: z.boolean().optional().describe('recompute activations in the backward pass'),
  sharded: z.boolean().default(false).describe('divide optimiser state and average among the GPUs'),
  steps: positive.optional().describe("optimiser steps (default: the preset's)"),
  images: positive.default(1_281_167).describe("images of the data set (default: ImageNet's training set)"),
  tokens: positive.default(128).describe("L of a generator's latents"),
  channels: positive.default(32).describe("Z of a generator's latents"),
  classes: positive.default(1000).describe('classes of a generator'),
  flops: rate.optional().describe('TFLOP/s that products reach on a GPU, as measured (default: 55 % of the published)'),
  bandwidth: rate.optional().describe('GB/s that other operations reach, as measured (default: 75 % of the published)')
})

export type EstimateSettings = z.output<typeof estimateSchema>
