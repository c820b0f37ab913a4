import { type Command, InvalidArgumentError } from 'commander'
import type { TrainingControl } from '../training/control.js'
import { addExamples, Interrupted, interruption, usage, writeJson } from './context.js'

/** Where the page is served. */
export interface UiOptions {
  ui?: boolean
  uiHost: string
  uiPort: number
}

function port(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new InvalidArgumentError('Expected an integer from 0 to 65535.')
  }
  return value
}

const addPlace = (command: Command): Command =>
  command
    .option('--ui-host <address>', 'where the page listens; 0.0.0.0 lets the network in', '127.0.0.1')
    .option('--ui-port <number>', 'its port; 0: a free one', port, 0)

/** `--ui` for commands that train. */
export const addUiOptions = (command: Command): Command =>
  addPlace(command.option('--ui', 'serve a page with live curves, grids, a playground, and buttons to pause and stop'))

interface Place {
  control?: TrainingControl
  device?: string
  tokenizer?: string | undefined
  json: boolean
}

/** Serves a run's page and tells where. */
async function openPage(run: string, { uiHost: host, uiPort }: UiOptions, { json, ...options }: Place) {
  const { serveRun } = await import('../ui/server.js')
  const page = await usage(() => serveRun(run, { host, port: uiPort, ...options }))
  if (json) writeJson({ event: 'page', url: page.url })
  else process.stderr.write(`Live page: ${page.url}\n`)
  return page
}

/** Runs a training with its page, if one was asked for. */
export async function withPage<T>(
  run: string,
  options: UiOptions,
  place: Place,
  training: () => Promise<T>
): Promise<T> {
  if (!options.ui) return training()
  const page = await openPage(run, options, place)
  return training().finally(() => page.close())
}

interface Options extends UiOptions {
  tokenizer?: string
  device: string
  json?: boolean
}

export function define(command: Command): void {
  command
    .argument('<run>', 'a run folder, also of a training that goes on')
    .option('--tokenizer <folder>', "what decodes a generator's samples (default: the one that the run was told of)")
    .option('--device <name>', 'of the playground: cpu, cuda, cuda:1, or auto', 'auto')
    .option('--json', 'write the address as JSON')
  addPlace(command)
  addExamples(command, {
    'mactok ui runs/tiny': 'curves, grids and a playground for images',
    'mactok ui runs/sit --tokenizer runs/tiny': 'a playground that samples classes',
    'mactok train tokenizer tiny-64 --data photos/ --out runs/tiny --ui': 'the same while it trains, with buttons'
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
