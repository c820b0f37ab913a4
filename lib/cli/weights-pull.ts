import type { Command } from 'commander'
import { pullWeights } from '../weights/index.js'
import { Interrupted, interruption, usage } from './exit.js'
import { addExamples, positiveInteger } from './options.js'
import { writeJson } from './output.js'
import { ProgressLine } from './progress.js'

interface Options {
  revision?: string
  file?: string[]
  attempts?: number
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<repository>', 'a repository on the Hugging Face Hub, such as facebook/dinov2-small')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--file <path...>', 'files to download (default: model.safetensors and config.json)')
    .option('--attempts <count>', 'attempts without progress before giving up (default: 5)', positiveInteger)
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok weights pull facebook/dinov2-small': 'the teacher of the tiny presets (88 MB)',
    'mactok weights pull facebook/dinov2-base': "the teacher and the initial encoder of the paper's presets (346 MB)",
    'mactok weights pull owner/tiny': 'a tokenizer or a generator that `weights push` has published',
    'HF_ENDPOINT=http://localhost:8000 mactok weights pull facebook/dinov2-small': 'from a mirror'
  })
  command.action(async (repository: string, { revision, file: files, attempts, json = false }: Options) => {
    const line = new ProgressLine({ unit: 'MB', quiet: json })
    const signal = interruption()
    const counts = new Map<string, ReturnType<typeof line.counting>>()
    const pulled = await usage(() =>
      pullWeights(repository, {
        revision,
        files,
        attempts,
        signal,
        onNotice: (message) => line.note(message),
        onProgress: ({ file, received, size }) => {
          const count = counts.get(file) ?? line.counting(file)
          counts.set(file, count)
          count(megabytes(received), megabytes(size ?? received))
        }
      })
    )
      .catch((error) => {
        throw signal.aborted ? new Interrupted('Interrupted; run the same command again to resume') : error
      })
      .finally(() => line.stop())
    if (json) return writeJson(pulled)
    process.stdout.write(`${pulled.folder}: ${pulled.files.join(', ')}\n`)
    if (pulled.model) process.stdout.write(`a ${pulled.model}; commands and \`load\` take it as ${repository}\n`)
  })
}

const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10
