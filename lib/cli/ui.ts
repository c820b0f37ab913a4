import { type Command, InvalidArgumentError } from 'commander'
import type { TrainingControl } from '../training/control.js'
import { Interrupted, interruption, usage } from './exit.js'
import { addExamples, words } from './options.js'
import { writeJson } from './output.js'

/** Whether and where the page is served. */
export interface UiOptions {
  ui?: boolean
  uiHost: string
  uiPort: number
  uiOrigin?: string[]
}

function parsePort(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new InvalidArgumentError('Expected an integer from 0 to 65535.')
  }
  return value
}

const addOrigin = (text: string, others: string[] = []): string[] => [...others, ...words(text)]

const addAddressOptions = (command: Command): Command =>
  command
    .option('--ui-host <address>', 'address to listen on; 0.0.0.0: reachable from the network', '127.0.0.1')
    .option('--ui-port <number>', 'port to listen on; 0: a free one', parsePort, 0)
    .option('--ui-origin <url>', 'address under which a proxy shows the page; may be given again', addOrigin)

/** `--ui` for commands that train. */
export const addUiOptions = (command: Command): Command =>
  addAddressOptions(
    command.option('--ui', 'serve a page with live curves, grids, a playground, and buttons to pause and stop')
  )

interface PageOptions {
  control?: TrainingControl
  device?: string
  tokenizer?: string | undefined
  json: boolean
}

/** Serves a run's page and prints its address. */
async function openPage(
  run: string,
  { uiHost: host, uiPort: port, uiOrigin: origins }: UiOptions,
  { json, ...options }: PageOptions
) {
  const { serveRun } = await import('../ui/server.js')
  const page = await usage(() => serveRun(run, { host, port, origins, ...options }))
  if (json) writeJson({ event: 'page', url: page.url })
  else process.stderr.write(`Live page: ${page.url}\n`)
  return page
}

/** Runs a training, and serves its page meanwhile if `--ui` was given. */
export async function withPage<T>(
  run: string,
  options: UiOptions,
  page: PageOptions,
  training: () => Promise<T>
): Promise<T> {
  if (!options.ui) return training()
  const opened = await openPage(run, options, page)
  // Whatever its page meets, the training has ended as it has.
  return training().finally(() => opened.close().catch(() => {}))
}

interface Options extends UiOptions {
  tokenizer?: string
  device: string
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<run>', 'a run folder, of a finished or a running training')
    .option(
      '--tokenizer <folder>',
      "the tokenizer that decodes a generator's samples (default: the one recorded in the run)"
    )
    .option('--device <name>', 'device of the playground: cpu, cuda, cuda:1, mps, or auto', 'auto')
    .option('--json', 'write the address as JSON')
  addAddressOptions(command)
  addExamples(command, {
    'mactok ui runs/tiny': 'curves, grids and a playground for images',
    'mactok ui runs/sit --tokenizer runs/tiny': 'a playground that samples classes',
    'mactok train tokenizer tiny-64 --data photos/ --out runs/tiny --ui': 'the same during training, with buttons'
  })
  command.action(run)
}

async function run(folder: string, options: Options): Promise<void> {
  const { json = false, device, tokenizer } = options
  const { readAnyRun } = await import('../report/run-folder.js')
  const { MactokError } = await import('../errors.js')
  if (!(await readAnyRun(folder))) throw new MactokError('ERR_FORMAT', `There is no run in ${folder}`)
  const page = await openPage(folder, options, { json, device, tokenizer })
  const signal = interruption()
  await new Promise((stopped) => signal.addEventListener('abort', stopped, { once: true }))
  await page.close()
  throw new Interrupted('Closed.')
}
