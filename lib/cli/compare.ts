import type { Command } from 'commander'
import { compareSchema } from '../report/compare-schema.js'
import { interruptible, usage } from './exit.js'
import { addComputeOptions, addExamples, type ComputeOptions, prepare } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'
import { addSettings, givenSettings } from './settings.js'

interface Options extends ComputeOptions {
  out: string
  data?: string
  tokenizer?: string
}

export function define(command: Command): void {
  command
    .argument('<runs...>', "run folders of one kind; an ablation's folder stands for its arms, an arm's for its seeds")
    .option('--out <file>', 'the page to write', 'comparison.html')
    .option('--data <path>', "images to reconstruct (default: the first run's held-out or training images); none: none")
    .option('--tokenizer <folder>', "decodes generators' samples (default: the one that each was trained with)")
  addComputeOptions(command)
  addSettings(command, compareSchema)
  addExamples(command, {
    'mactok compare runs/plain runs/masked': 'curves, numbers, images and settings side by side, in comparison.html',
    'mactok compare runs/collapse --out collapse.html': 'the arms of an ablation, with means over their seeds',
    'mactok compare runs/sit-a runs/sit-b --count 16 --guidance 2': 'generators: samples of the same classes and noise'
  })
  command.action(run)
}

async function run(runs: string[], options: Options & Record<string, unknown>): Promise<void> {
  const { out, data, tokenizer, json = false } = options
  const settings = givenSettings(options, compareSchema)
  const device = await prepare(options)
  const { compareRuns } = await import('../report/compare.js')
  const line = new ProgressLine({ unit: 'runs', quiet: json })
  const comparison = await interruptible((signal) =>
    usage(() =>
      compareRuns(runs, {
        ...settings,
        out,
        data: data === 'none' ? null : data,
        tokenizer,
        device,
        signal,
        onProgress: line.counting()
      })
    )
  ).finally(() => line.stop())
  if (json) return writeJson(comparison)
  for (const missing of comparison.missing) process.stderr.write(`Skipped ${missing}\n`)
  process.stdout.write(
    `${comparison.file}: ${comparison.runs.length} runs, ${(comparison.bytes / 1e6).toFixed(1)} MB\n`
  )
}
