import type { Command } from 'commander'
import { PACKAGE } from '../native/find.js'
import { PINNED_VERSION } from '../native/libtorch.mjs'
import { buildAddon } from '../setup/addon.mjs'
import { cudaHeaders } from '../setup/cuda-headers.mjs'
import { findLibTorch } from '../setup/libtorch.mjs'
import { linkLibTorch, removeLibTorch, unpackLibTorch } from '../setup/provide.mjs'
import { say } from '../setup/report.mjs'
import { requireBuildTools } from '../setup/tools.mjs'
import { UsageError } from './exit.js'
import { addExamples } from './options.js'
import { writeJson } from './output.js'

interface Options {
  cuda?: boolean
  cpu?: boolean
  libtorch?: string
  from?: string[]
  build?: boolean
  remove?: boolean
  json?: boolean
}

export function define(command: Command): void {
  command
    .option('--cuda', 'with CUDA, whether or not this machine has a driver')
    .option('--cpu', 'without CUDA')
    .option('--libtorch <folder>', `remember a LibTorch ${PINNED_VERSION} that is there: nothing is fetched`)
    .option('--from <files...>', 'wheels of LibTorch, its archive, or a folder of them: for machines without a network')
    .option('--build', "compile the addon from the package's sources instead of using the prebuilt one")
    .option('--remove', 'remove LibTorch from the cache; weights stay')
    .option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok setup': `fetch LibTorch ${PINNED_VERSION} into the cache; again, it resumes or says that all is there`,
    'mactok setup --libtorch ~/venv/lib/python3.12/site-packages/torch': "use Python's",
    'mactok setup --from wheels/': 'from files that were downloaded elsewhere',
    'LIBTORCH=~/libtorch mactok setup --build': 'compile against another LibTorch, 2.11 to 2.15'
  })
  command.action(async (options: Options) => {
    checkOptions(options)
    if (options.remove) return report(options, { removed: removeLibTorch() })
    if (options.cuda) process.env.MACTOK_CUDA = '1'
    if (options.cpu) process.env.MACTOK_CUDA = '0'
    // Before gigabytes are fetched.
    if (options.build) requireBuildTools()
    const libtorch = await provide(options)
    if (options.build) {
      const cuda = await cudaHeaders(libtorch, { required: options.cuda === true })
      await buildAddon({ root: PACKAGE, libtorch, ...(cuda && { cuda }) })
    }
    report(options, { libtorch })
  })
}

function checkOptions({ cuda, cpu, libtorch, from, build, remove }: Options): void {
  const exclusive: Record<string, unknown>[] = [
    { '--cuda': cuda, '--cpu': cpu },
    { '--libtorch': libtorch, '--from': from, '--remove': remove },
    { '--build': build, '--remove': remove }
  ]
  for (const group of exclusive) {
    const given = Object.keys(group).filter((name) => group[name])
    if (given.length > 1) throw new UsageError(`${given.join(' and ')} exclude each other`)
  }
}

async function provide({ libtorch, from }: Options): Promise<string> {
  if (libtorch) return linkLibTorch(libtorch)
  return from ? await unpackLibTorch(from) : await findLibTorch()
}

function report({ json }: Options, result: { libtorch?: string; removed?: string[] }): void {
  const { libtorch, removed } = result
  if (json) writeJson(result)
  else if (libtorch) say(`LibTorch is at ${libtorch}; \`mactok doctor\` checks the rest`)
  else if (removed) say(removed.length > 0 ? `removed ${removed.join(', ')}` : 'there was nothing to remove')
}
