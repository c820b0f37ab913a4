import type { Command } from 'commander'
import { pullWeights } from '../weights/index.js'
import { addExamples, Interrupted, interruption, positiveInteger, usage, writeJson } from './context.js'
import { counter, ProgressLine } from './progress.js'

interface Options {
  revision?: string
  file?: string[]
  attempts?: number
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<repository>', 'a repository of the Hugging Face hub, such as facebook/dinov2-small')
    .option('--revision <name>', 'branch, tag or commit (default: main)')
    .option('--file <path...>', 'files of the repository (default: model.safetensors and config.json)')
    .option('--attempts <count>', 'tries without progress before giving up (default: 5)', positiveInteger)
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok weights pull facebook/dinov2-small': 'the teacher of the tiny presets (88 MB)',
    'mactok weights pull facebook/dinov2-base': "the teacher and the initial encoder of the paper's presets (346 MB)",
    'HF_ENDPOINT=http://localhost:8000 mactok weights pull facebook/dinov2-small': 'from a mirror'
  })
  command.action(async (repository: string, { revision, file: files, attempts, json = false }: Options) => {
    const line = new ProgressLine({ unit: 'MB', quiet: json })
    const signal = interruption()
    let current = ''
    let update: ReturnType<typeof counter> | undefined
    const given = { revision, files, attempts }
    const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
    const pulled = await usage(() =>
      pullWeights(repository, {
        ...options,
        signal,
        onProgress: ({ file, received, size }) => {
          if (file !== current) update = counter(line, megabytes(size ?? received))
          current = file
          update?.(megabytes(received), file)
        }
      })
    )
      .catch((error) => {
        throw signal.aborted ? new Interrupted('Stopped; the same command goes on where it was.') : error
      })
      .finally(() => line.stop())
    if (json) return writeJson(pulled)
    process.stdout.write(`${pulled.folder}: ${pulled.files.join(', ')}\n`)
  })
}

const megabytes = (bytes: number) => Math.round(bytes / 1e5) / 10
