#!/usr/bin/env node
import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { exitCode, reportError } from './context.js'

/** Commands by name; what they need is loaded when they are called, so that `--help` stays fast. */
const commands: Record<string, { summary: string; load: () => Promise<{ define(command: Command): void }> }> = {
  doctor: { summary: 'say what this machine has: LibTorch, devices, weights', load: () => import('./doctor.js') },
  'train tokenizer': {
    summary: 'train a tokenizer on a folder of images',
    load: () => import('./train-tokenizer.js')
  },
  'train decoder': {
    summary: "fine-tune a trained tokenizer's decoder; its latents stay valid",
    load: () => import('./train-decoder.js')
  },
  'train generator': {
    summary: 'train a generator on latent shards',
    load: () => import('./train-generator.js')
  },
  encode: { summary: 'encode a folder of images into latent shards', load: () => import('./encode.js') },
  decode: { summary: 'decode latent shards into images', load: () => import('./decode.js') },
  sample: { summary: 'draw samples of a generator', load: () => import('./sample.js') },
  reconstruct: {
    summary: 'write a grid of images, their masks and their reconstructions',
    load: () => import('./reconstruct.js')
  },
  'evaluate reconstruction': {
    summary: "judge a tokenizer's reconstructions: PSNR, SSIM, LPIPS, rFID",
    load: () => import('./evaluate-reconstruction.js')
  },
  'evaluate generation': {
    summary: "judge a generator's samples: FID, sFID, Inception score, precision and recall; search the best guidance",
    load: () => import('./evaluate-generation.js')
  },
  'evaluate statistics': {
    summary: 'write the reference statistics of images',
    load: () => import('./evaluate-statistics.js')
  },
  probe: { summary: 'say how much of the classes a linear map finds in latents', load: () => import('./probe.js') },
  ablate: { summary: "run an ablation table's rows, and write table and plots", load: () => import('./ablate.js') },
  ui: { summary: 'serve a live page of a run', load: () => import('./ui.js') },
  report: { summary: 'write a report of a run, one HTML file', load: () => import('./report.js') },
  inspect: { summary: 'describe a run, a shard folder or a weights file', load: () => import('./inspect.js') },
  'inspect latents': {
    summary: 'plot latents: PCA, UMAP, KL, what tokens control, interpolation',
    load: () => import('./inspect-latents.js')
  },
  'weights pull': { summary: 'fetch published weights', load: () => import('./weights-pull.js') },
  'weights import': { summary: "convert another project's weights", load: () => import('./weights-import.js') },
  'weights export': {
    summary: "write a model under another project's names",
    load: () => import('./weights-export.js')
  }
}

const groups: Record<string, string> = {
  evaluate: 'measure reconstructions and samples',
  train: 'train a model',
  weights: 'fetch and convert weights'
}

function program(): Command {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const root = new Command('mactok')
    .description('Masked one-dimensional image tokenizers: train, encode and decode.')
    .version(version)
    .showHelpAfterError('(add --help for usage)')
    .exitOverride()
  const loaders = new Map<Command, () => Promise<void>>()
  const parents = new Set<Command>()
  /** A command with commands of its own; flags after their names are theirs. */
  const lazy = (command: Command) => {
    if (parents.has(command)) return command
    parents.add(command)
    return command
      .helpCommand(false)
      .enablePositionalOptions()
      .hook('preSubcommand', (_, called) => loaders.get(called)?.() ?? Promise.resolve())
  }
  const group = (parent: Command, name: string) => {
    const summary = groups[name] ?? ''
    const found = parent.commands.find((command) => command.name() === name)
    return lazy(found ?? parent.command(name).summary(summary).description(summary))
  }
  lazy(root)
  for (const [path, { summary, load }] of Object.entries(commands)) {
    const names = path.split(' ')
    const parent = names.slice(0, -1).reduce(group, root)
    const command = parent.command(names.at(-1) as string).summary(summary)
    command.description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    loaders.set(command, async () => (await load()).define(command))
  }
  return root
}

// A reader such as `head` that has seen enough is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

try {
  await program().parseAsync()
} catch (error) {
  // Commander has written its message already.
  if (!(error instanceof CommanderError)) reportError(error)
  process.exitCode = exitCode(error)
}
