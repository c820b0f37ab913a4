import type { Command } from 'commander'
import { type PushOptions, pushModel } from '../report/push.js'
import { Interrupted, interruption, usage } from './exit.js'
import { addExamples, addRawOption, positiveInteger } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'

type Options = Omit<PushOptions, 'onProgress' | 'signal'> & { json?: boolean }

export function define(command: Command): void {
  command
    .argument('<folder>', 'a run folder, a checkpoint, a tokenizer or a generator')
    .argument('<repository>', 'a repository on the Hugging Face Hub, such as owner/name; made if there is none')
    .option('--revision <name>', 'the branch to commit to (default: main)')
    .option('--message <text>', "the commit's subject")
    .option('--private', 'make a new repository private')
    .option('--license <name>', 'license of the model, such as mit')
    .option('--no-grid', "leave out the run's newest grid, which shows images of its data")
    .option('--attempts <count>', 'attempts of each request before giving up (default: 5)', positiveInteger)
    .option('--json', 'write JSON to standard output')
  addRawOption(command)
  addExamples(command, {
    'mactok weights push runs/tiny owner/tiny': 'weights, model card and Python reader; HF_TOKEN, or `hf auth login`',
    'mactok weights push runs/sit owner/sit --private --license mit': 'a generator',
    'HF_ENDPOINT=http://localhost:8000 mactok weights push runs/tiny owner/tiny': 'to another server'
  })
  command.action(async (folder: string, repository: string, { json = false, ...options }: Options) => {
    const line = new ProgressLine({ unit: 'MB', quiet: json })
    const signal = interruption()
    const counts = new Map<string, ReturnType<typeof line.counting>>()
    const pushed = await usage(() =>
      pushModel(folder, repository, {
        ...options,
        signal,
        onProgress: ({ file, sent, size }) => {
          const count = counts.get(file) ?? line.counting(file)
          counts.set(file, count)
          count(megabytes(sent), megabytes(size))
        }
      })
    )
      .catch((error) => {
        throw signal.aborted ? new Interrupted('Interrupted; run the same command again to resume') : error
      })
      .finally(() => line.stop())
    if (json) return writeJson(pushed)
    process.stdout.write(`${pushed.url}: ${pushed.files.join(', ')}\n`)
  })
}

const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10
