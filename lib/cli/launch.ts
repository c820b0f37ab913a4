import { fileURLToPath } from 'node:url'
import { type Command, InvalidArgumentError } from 'commander'
import { usage } from './exit.js'
import { addExamples, positiveInteger } from './options.js'
import { handleSignals } from './signals.js'

interface Options {
  nproc: number
  nnodes: number
  nodeRank: number
  rdzv?: string
  restarts: number
}

function naturalNumber(text: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('Expected a non-negative integer.')
  return value
}

export function define(command: Command): void {
  command
    .argument('<command...>', 'after --: a command of mactok, or a script of Node (.js, .mjs)')
    .requiredOption('--nproc <count>', 'ranks on this machine, one per GPU', positiveInteger)
    .option('--nnodes <count>', 'machines', positiveInteger, 1)
    .option('--node-rank <number>', 'the number of this machine, from 0 on', naturalNumber, 0)
    .option(
      '--rdzv <place>',
      'the same on all machines: host:port of machine 0, or file:///path of a new file that all machines see'
    )
    .option(
      '--restarts <count>',
      'start again from the newest checkpoint after a failure, so many times',
      naturalNumber,
      0
    )
  addExamples(command, {
    'mactok launch --nproc 8 -- train tokenizer mactok-b-256-128 --data imagenet/train --out runs/b128':
      'one machine with eight GPUs',
    'mactok launch --nproc 8 --nnodes 4 --node-rank 0 --rdzv gpu0:29500 -- train generator sit-xl --latents latents/ --out runs/xl':
      'the first of four machines',
    'mactok launch --nproc 2 --restarts 3 -- train tokenizer tiny-64 --data photos/ --out runs/tiny':
      'restart after failures'
  })
  command.action(run)
}

/** The program of a rank: a command of mactok, unless a script of Node is named. */
function programOf(words: readonly string[]): string[] {
  const isScript = /\.[cm]?js$/.test(words[0] ?? '')
  return [process.execPath, ...(isScript ? [] : [fileURLToPath(new URL('./main.js', import.meta.url))]), ...words]
}

async function run(words: string[], { nproc, nnodes, nodeRank, rdzv, restarts }: Options): Promise<void> {
  const { launch } = await import('../distributed/launch.js')
  const job = usage(() =>
    launch({
      command: programOf(words),
      resume: words[0] === 'train' ? ['--resume'] : [],
      nproc,
      nnodes,
      nodeRank,
      rdzv: rdzv ?? null,
      restarts,
      // Rank 0's standard output is the job's; everything else is a log.
      onLine: ({ rank, stream, text }) => {
        if (rank === 0 && stream === 'stdout') process.stdout.write(`${text}\n`)
        else process.stderr.write(`[${rank}] ${text}\n`)
      },
      onNotice: (message) => process.stderr.write(`${message}\n`)
    })
  )
  handleSignals((signal) => job.kill(signal))
  const { code, failed } = await job.result
  if (failed && code !== 130 && code !== 129) {
    process.stderr.write(`\nrank ${failed.rank} failed with exit code ${code}:\n${failed.lines.join('\n')}\n`)
  }
  process.exitCode = code
}
