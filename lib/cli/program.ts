/** The command line as commander has it; a command's module is loaded when it is called. */

import { createRequire } from 'node:module'
import { Command } from 'commander'

/** Commands by name; each is loaded when it is called, so that `--help` stays fast. */
const commands: Record<string, { summary: string; load: () => Promise<{ define(command: Command): void }> }> = {
  doctor: { summary: 'check this machine: LibTorch, devices, weights', load: () => import('./doctor.js') },
  setup: { summary: 'fetch LibTorch, or compile the addon', load: () => import('./setup.js') },
  estimate: {
    summary: "predict a training's memory, time and traffic on GPUs",
    load: () => import('./estimate.js')
  },
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
  launch: { summary: 'run a command as several ranks that work together', load: () => import('./launch.js') },
  encode: { summary: 'encode a folder of images into latent shards', load: () => import('./encode.js') },
  decode: { summary: 'decode latent shards into images', load: () => import('./decode.js') },
  sample: { summary: 'draw samples from a generator', load: () => import('./sample.js') },
  reconstruct: {
    summary: 'write a grid of images, their masks and their reconstructions',
    load: () => import('./reconstruct.js')
  },
  'evaluate reconstruction': {
    summary: "measure a tokenizer's reconstructions: PSNR, SSIM, LPIPS, rFID",
    load: () => import('./evaluate-reconstruction.js')
  },
  'evaluate generation': {
    summary: "measure a generator's samples: FID, sFID, Inception score, precision, recall; search the best guidance",
    load: () => import('./evaluate-generation.js')
  },
  'evaluate statistics': {
    summary: 'write reference statistics of images',
    load: () => import('./evaluate-statistics.js')
  },
  probe: { summary: 'fit a linear classifier on latents and measure its accuracy', load: () => import('./probe.js') },
  ablate: {
    summary: "train and measure an ablation's rows; write its table and plots",
    load: () => import('./ablate.js')
  },
  ui: { summary: 'serve the live page of a run', load: () => import('./ui.js') },
  report: { summary: 'write a report of a run as one HTML file', load: () => import('./report.js') },
  compare: {
    summary: 'compare runs on one HTML page: curves, images, latents, settings',
    load: () => import('./compare.js')
  },
  inspect: { summary: 'describe a run, a shard folder or a weights file', load: () => import('./inspect.js') },
  'inspect latents': {
    summary: 'describe latents: PCA, UMAP, KL, what tokens control, interpolation',
    load: () => import('./inspect-latents.js')
  },
  'weights pull': { summary: 'download published weights and models', load: () => import('./weights-pull.js') },
  'weights push': { summary: 'publish a model on the Hugging Face Hub', load: () => import('./weights-push.js') },
  'weights import': {
    summary: "convert another project's weights to mactok's format",
    load: () => import('./weights-import.js')
  },
  'weights export': {
    summary: "convert a model to another project's format",
    load: () => import('./weights-export.js')
  }
}

const groups: Record<string, string> = {
  evaluate: 'measure reconstructions and samples',
  train: 'train a model',
  weights: 'download, publish and convert weights'
}

/** The commands, and what defines their arguments and options. */
interface Program {
  root: Command
  /** Defines the options of a command that has none yet. */
  loaders: Map<Command, () => Promise<void>>
}

function createCommands(): Program {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const root = new Command('mactok')
    .description('Masked one-dimensional image tokenizers: train, encode and decode.')
    .version(version)
    .showHelpAfterError('(add --help for usage)')
    .exitOverride()
  const loaders = new Map<Command, () => Promise<void>>()
  const parents = new Set<Command>()
  /** Makes a command one with subcommands; flags after a subcommand's name are the subcommand's. */
  const asParent = (command: Command) => {
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
    return asParent(found ?? parent.command(name).summary(summary).description(summary))
  }
  asParent(root)
  for (const [path, { summary, load }] of Object.entries(commands)) {
    const names = path.split(' ')
    const parent = names.slice(0, -1).reduce(group, root)
    const command = parent.command(names.at(-1) as string).summary(summary)
    command.description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    loaders.set(command, async () => (await load()).define(command))
  }
  return { root, loaders }
}

export const createProgram = (): Command => createCommands().root

/** The program with the options of all commands: for their reference, and for checks of command lines. */
export async function createCompleteProgram(): Promise<Command> {
  const { root, loaders } = createCommands()
  for (const load of loaders.values()) await load()
  loaders.clear()
  return root
}
