/**
 * Calls the public API with wrong values, in a process of its own: node abuse-process.mjs <file of settings>. Writes the call that begins to
 * a file, and at the end a report.
 */

import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { OwnError, valueFor, wrongValues } from './abuse-values.mjs'
import { copy, dist, pick, randomNumbers } from './place.mjs'

const { place, scratch, seed, calls, concurrent, progress, report, members } = JSON.parse(
  readFileSync(String(process.argv[2]), 'utf8')
)
// Deep, because some paths lead up.
const cwd = join(scratch, 'a/b/c')
mkdirSync(cwd, { recursive: true })
process.chdir(cwd)
process.emitWarning = () => {}
const api = await import(new URL('index.js', dist).href)
const random = randomNumbers(seed)
const line = openSync(progress, 'w')

/** Longest time for a call with small tensors. */
const longest = 20_000
/** What is not called: it waits for a run that never begins, or is for the library alone. */
const left = ['TrainingControl.checkpoint', 'Expression']

const side = { width: 8, depth: 1, heads: 2 }
const tiny = { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 3, encoder: side, decoder: side }
const run = { batch: 2, steps: 2, precision: 'fp32', masking: { semantic: 0 }, align: { local: false, global: false } }
const given = join(scratch, 'given')
const images = join(given, 'images')
const known = new WeakSet()

/** @param {import('./surface.mjs').Member} member */
const nameOf = ({ owner, name }) => (owner ? `${owner}.${name}` : name)

/** Objects of the API's classes, some of them disposed. @returns {Promise<import('./abuse-values.mjs').Kit>} */
async function makeKit() {
  // Copies, because some calls write there.
  rmSync(given, { recursive: true, force: true })
  for (const name of ['images', 'run', 'shards']) copy(place, name, join(given, name))
  const { tensor } = api
  const disposed = tensor(new Float32Array(6), [2, 3])
  disposed.dispose()
  const tensors = [
    tensor(new Float32Array(6).fill(0.5), [2, 3]),
    tensor(new Float32Array(1), []),
    tensor(new Float32Array(0), [0, 3]),
    tensor(new Float32Array(24), [2, 4, 3]),
    tensor(new Float32Array(2 * 3 * 16 * 16), [2, 3, 16, 16]),
    tensor(new Uint8Array(2 * 16 * 16 * 3), [2, 16, 16, 3]),
    tensor(new BigInt64Array([0n, 1n]), [2]),
    tensor(new Float64Array(4), [2, 2]),
    disposed
  ]
  // Of another package.
  const foreign = { dtype: 'float32', shape: [2, 3], device: 'cpu' }
  const tokenizer = await api.Tokenizer.create(tiny, { device: 'cpu' })
  const gone = await api.Tokenizer.create(tiny, { device: 'cpu' })
  gone.dispose()
  const generator = await api.Generator.create({ ...side, latentShape: [4, 3], classes: 2 }, { device: 'cpu' })
  const shards = await api.openLatents(join(given, 'shards'))
  const file = await api.readSafetensors(join(given, 'run/checkpoints/step-0000060/model.safetensors'))
  const training = () => api.trainTokenizer({ ...run, tokenizer: tiny }).data(images)
  /** @type {Record<string, unknown[]>} */
  const made = {
    Tensor: tensors,
    Operations: tensors,
    Foreign: [foreign],
    Expression: [tensors[0].add(1), tensors[3].sum()],
    Tokenizer: [tokenizer, tokenizer, gone],
    Generator: [generator],
    LatentShards: [shards],
    LatentStatistics: [new api.LatentStatistics([0], [1], [4, 3])],
    SafetensorsFile: [file],
    Weights: [api.fileWeights(file)],
    Moments: [await api.Moments.create(3)],
    MactokError: [new api.MactokError('ERR_FORMAT', 'x')],
    TrainingControl: [new api.TrainingControl()],
    ImageSource: [api.imageFolder(images)],
    TokenizerTraining: [training()],
    Float32Array: [new Float32Array(6), new Float32Array(24)],
    Uint8Array: [new Uint8Array(16)],
    Map: [api.fileWeights(file)]
  }
  for (const each of Object.values(made).flat()) if (typeof each === 'object' && each !== null) known.add(each)
  const instances = Object.fromEntries(Object.entries(made).map(([name, all]) => [name, all.map((each) => () => each)]))
  const reenter = () => {
    tensors[pick(random, 2)].add(1).then(undefined, () => {})
    if (random() < 0.1) tokenizer.dispose()
    throw new OwnError('called back')
  }
  return { place: given, scratch, instances, reenter }
}

const result = { calls: 0, returned: 0, refused: 0, own: 0, raw: 0, late: 0, unhandled: 0 }
/** @type {Record<string, string>} */
const raw = {}
const note = (/** @type {string} */ message, /** @type {string} */ call) => {
  if (Object.keys(raw).length < 200) raw[message] ??= call
}
/** An error of ours, the system's about a file, or an abort. @param {any} error */
const isNamed = (error) =>
  error instanceof api.MactokError ||
  ((error instanceof TypeError || error instanceof RangeError) &&
    /^(Expected|Unknown) |: expected /.test(error.message)) ||
  typeof error?.syscall === 'string' ||
  ['AbortError', 'TimeoutError'].includes(error?.name)

/** An error of what was passed in. @param {any} error */
const isOwn = (error) =>
  error instanceof OwnError || /a proxy that has been revoked|^Class constructor/.test(error?.message)

let current = ''

/** @param {any} value */
async function settle(value) {
  const done = await value
  if (typeof done !== 'object' || done === null || known.has(done)) return
  if (Symbol.asyncIterator in done) {
    const iterator = done[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.return?.()
  }
  await done[Symbol.asyncDispose]?.()
  done[Symbol.dispose]?.()
}

/**
 * @param {import('./surface.mjs').Member} member
 * @param {import('./abuse-values.mjs').Kit} kit
 * @param {unknown[]} args
 */
function invoke(member, kit, args) {
  const { owner, name, kind } = member
  if (kind === 'function') return api[name](...args)
  if (kind === 'constructor') return new api[name](...args)
  if (kind === 'static') return api[/** @type {string} */ (owner)][name](...args)
  const made = /** @type {(() => any)[]} */ (kit.instances[/** @type {string} */ (owner)])
  const target = made[pick(random, made.length)]?.()
  return kind === 'method' ? target[name](...args) : target[name]
}

/** @param {unknown} value */
function show(value) {
  try {
    return inspect(value, { depth: 1, maxStringLength: 40, maxArrayLength: 4, breakLength: Infinity })
  } catch {
    return `${typeof value} that cannot be shown`
  }
}

/**
 * @param {import('./surface.mjs').Member} member
 * @param {import('./abuse-values.mjs').Kit} kit
 * @param {unknown[]} args
 */
async function call(member, kit, args) {
  const text = `${nameOf(member)}(${args.map(show).join(', ')})`.slice(0, 1_000)
  current = text
  writeSync(line, `${text}\n`.padEnd(1_100), 0)
  result.calls++
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve('late'), longest)
  })
  try {
    const end = await Promise.race([(async () => settle(invoke(member, kit, args)))(), late])
    if (end === 'late') {
      result.late++
      note('late', text)
    } else result.returned++
  } catch (/** @type {any} */ error) {
    if (isNamed(error)) result.refused++
    else if (isOwn(error) || isOwn(error?.cause)) result.own++
    else {
      result.raw++
      note(
        `${error?.name}: ${error?.message ?? inspect(error)}`.slice(0, 300) +
          `\n${`${error?.stack}`.split('\n').slice(1, 4).join('\n')}`,
        text
      )
    }
  } finally {
    clearTimeout(timer)
  }
}

/** @type {import('./surface.mjs').Member[]} Types that are exported without their classes are not callable. */
const callable = members.filter(
  (/** @type {any} */ member) => !left.includes(nameOf(member)) && !(member.kind === 'static' && member.name in Error)
)
let kit = await makeKit()

const canCall = (/** @type {import('./surface.mjs').Member} */ { kind, owner, name }) =>
  kind === 'method' || kind === 'property' ? String(owner) in kit.instances : typeof api[owner ?? name] === 'function'
const possible = callable.filter(canCall)

async function main() {
  for (const event of /** @type {const} */ (['unhandledRejection', 'uncaughtException'])) {
    process.on(event, (/** @type {any} */ error) => {
      if (error instanceof OwnError) return
      result.unhandled++
      note(`${event}: ${error?.stack ?? error}`.slice(0, 600), current)
    })
  }
  // Each parameter of each member with each wrong value, in an order that depends on the seed; the other parameters fit.
  const one = possible.flatMap((member) =>
    member.parameters.flatMap((_, at) => wrongValues.map((wrong) => ({ member, at, wrong })))
  )
  const shuffled = one.map((each) => ({ each, at: random() })).sort((a, b) => a.at - b.at)
  for (const { each } of shuffled.slice(0, Math.ceil(calls / 2))) {
    const args = each.member.parameters.map((parameter, at) =>
      at === each.at ? each.wrong() : valueFor(parameter, kit, random)
    )
    await call(each.member, kit, args)
    if (result.calls % 500 === 0) kit = await makeKit()
  }
  // Any number of wrong values, in options too.
  for (let i = 0; i < Math.floor(calls / 2); i++) {
    const member = /** @type {import('./surface.mjs').Member} */ (possible[pick(random, possible.length)])
    const count = random() < 0.1 ? pick(random, 6) : member.parameters.length
    const args = Array.from({ length: count }, (_, at) =>
      valueFor(member.parameters[at] ?? { name: 'x', shape: { kind: 'any' } }, kit, random, 0.25)
    )
    await call(member, kit, args)
    if (result.calls % 500 === 0) kit = await makeKit()
  }
  // All at once: quick members only, because others would train.
  const quick = possible.filter(({ owner }) =>
    ['Tensor', 'Expression', 'Tokenizer', 'Generator', 'LatentShards', 'Moments', 'LatentStatistics'].includes(
      owner ?? ''
    )
  )
  kit = await makeKit()
  const started = Array.from({ length: concurrent }, () => {
    const member = /** @type {import('./surface.mjs').Member} */ (quick[pick(random, quick.length)])
    return call(
      member,
      kit,
      member.parameters.map((parameter) => valueFor(parameter, kit, random, 0.1))
    )
  })
  await Promise.all(started)
}

// Errors of this script itself, which the handlers above would take for the API's.
await main().catch((error) => {
  process.stderr.write(`${error?.stack}\n`)
  process.exit(2)
})
closeSync(line)
writeFileSync(
  report,
  JSON.stringify({
    ...result,
    members: possible.length,
    megabytes: Math.round(process.resourceUsage().maxRSS / 1024),
    ...(Object.keys(raw).length > 0 && { firstOf: raw })
  })
)
process.exit(0)
