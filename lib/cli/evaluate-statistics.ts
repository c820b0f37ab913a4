import type { Command } from 'commander'
import { z } from 'zod'
import { parseConfig } from '../config.js'
import { inceptionSchema, referenceSchema } from '../evaluation/schema.js'
import { interruptible, usage } from './exit.js'
import { ImageAccount } from './images.js'
import { addComputeOptions, addExamples, type ComputeOptions, prepare } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  out: string
  dinov2?: string
}

const schema = z.strictObject({
  size: referenceSchema.shape.size,
  orientation: referenceSchema.shape.orientation,
  inception: inceptionSchema.shape.weights,
  resize: inceptionSchema.shape.input,
  batch: referenceSchema.shape.batch,
  precision: inceptionSchema.shape.precision
})

export function define(command: Command): void {
  command
    .argument('<images>', "a folder, tars, or an .npz in ADM's format")
    .requiredOption('--out <file>', 'the .npz to write; the same command resumes an interrupted one')
    .option('--dinov2 <weights>', 'also mu_dinov2 and sigma_dinov2 of this DINOv2, for FD-DINOv2')
  addComputeOptions(command)
  addSettings(command, schema)
  addExamples(command, {
    'mactok evaluate statistics imagenet/train --size 256 --out imagenet-256.npz':
      'mu and sigma as pytorch-fid reads them, mu_s and sigma_s for sFID'
  })
  command.action(run)
}

async function run(path: string, options: Options & Record<string, unknown>): Promise<void> {
  const { out, json = false } = options
  const given = givenSettings(options, schema)
  const settings = usage(() => parseConfig(schema, given))
  const { size, orientation, inception, resize: input, batch, precision } = settings
  const device = await prepare(options)
  const { loadNetworks } = await import('../evaluation/networks.js')
  const { referenceStatistics } = await import('../evaluation/generation.js')
  const { dinov2 } = options
  const metrics = dinov2 === undefined ? (['fid'] as const) : (['fid', 'fdDinov2'] as const)
  using networks = await loadNetworks(metrics, { inception, dinov2, device, input, precision })
  const line = new ProgressLine({ unit: 'images', quiet: json })
  const account = new ImageAccount(line)
  const { onBroken, onIgnored } = account
  const images = await interruptible((signal) =>
    usage(() =>
      referenceStatistics(networks, path, out, {
        size,
        orientation,
        batch,
        signal,
        onBroken,
        onIgnored,
        onProgress: line.counting()
      })
    )
  ).finally(() => line.stop())
  if (json) return writeJson({ file: out, images, unread: account.unread })
  process.stdout.write(`${out}: statistics of ${images} images\n`)
  account.report()
}
