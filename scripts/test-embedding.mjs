// npm run test:embedding [-- names]: how the package behaves inside other people's processes, for longer than tests may take.
// Each case is a process of its own that prints JSON; what is expected stands beside it. Its last output is in docs/install.md.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Failure, run, say } from '../lib/setup/report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const index = pathToFileURL(join(root, 'dist', 'index.js')).href
const photos = JSON.stringify(join(root, 'examples', 'photos'))

const TOKENIZER = `{ imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 8, encoder: { width: 32, depth: 1, heads: 2 }, decoder: { width: 32, depth: 1, heads: 2 } }`
const PRELUDE = `
  const { Tokenizer, tensor, memory, trainTokenizer } = await import('${index}')
  const create = () => Tokenizer.create(${TOKENIZER})
  const image = () => tensor(new Float32Array(8 * 3 * 32 * 32), [8, 3, 32, 32])
  const print = (value) => console.log(JSON.stringify(value))
  const megabytes = () => { global.gc?.(); return process.memoryUsage().rss / 1e6 }
`

/** @typedef {{ code: number | null, signal: string | null, output: any, errors: string, seconds: number, ending: number }} Ended */
/** @typedef {{ program: string, kill?: NodeJS.Signals, expect: (ended: Ended) => string | undefined, flags?: string[] }} Case */

/** What is wrong with a process that should have ended well and printed what `wanted` accepts. */
const printed =
  (/** @type {(output: any) => boolean} */ wanted) =>
  (/** @type {Ended} */ { code, output, errors }) =>
    code === 0 && output !== undefined && wanted(output)
      ? undefined
      : `code ${code}, printed ${JSON.stringify(output)} ${errors.slice(0, 500)}`

/** Work that is still going on when the process is told to end, and how it must end within a second. */
const endsAtOnce = (/** @type {(ended: Ended) => boolean} */ rightly) => (/** @type {Ended} */ ended) =>
  rightly(ended) && ended.ending < 1
    ? undefined
    : `code ${ended.code}, ${ended.signal}, ${ended.ending.toFixed(2)} s after it was told`

const IN_FLIGHT = `
  const tokenizer = await create()
  for (let i = 0; i < 300; i++) void tokenizer.encode(image()).catch(() => {})
  print('busy')`

/** @type {Record<string, Case>} */
const cases = {
  'four workers encode at once': {
    program: `
      const { Worker } = await import('node:worker_threads')
      const body = \`(async () => { ${PRELUDE.replaceAll('`', '\\`')}
        const tokenizer = await create();
        let tokens = 0
        for (let i = 0; i < 100; i++) tokens += (await tokenizer.encode(image())).shape[1]
        ;(await import('node:worker_threads')).parentPort.postMessage(tokens) })()\`
      const counts = await Promise.all(Array.from({ length: 4 }, () => new Promise((resolve, reject) => {
        new Worker(body, { eval: true }).on('message', resolve).on('error', reject)
      })))
      print(counts)`,
    expect: printed((counts) => counts.every((/** @type {number} */ count) => count === 400))
  },
  '200 workers terminated in mid-job': {
    program: `
      const { Worker } = await import('node:worker_threads')
      const body = \`(async () => { ${PRELUDE.replaceAll('`', '\\`')}
        const tokenizer = await create()
        ;(await import('node:worker_threads')).parentPort.postMessage(0)
        while (true) await tokenizer.encode(image()) })()\`
      const survivor = await create()
      for (let i = 0; i < 200; i++) {
        const worker = new Worker(body, { eval: true })
        await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
        await worker.terminate()
      }
      print((await survivor.encode(image())).shape)`,
    expect: printed((shape) => shape.join() === '8,4,8')
  },
  'process.exit with work in flight': {
    program: `${IN_FLIGHT}; process.exit(3)`,
    expect: endsAtOnce(({ code }) => code === 3)
  },
  'an uncaught exception with work in flight': {
    program: `${IN_FLIGHT}; setTimeout(() => { throw new Error('planted') }, 5)`,
    expect: endsAtOnce(({ code, errors }) => code === 1 && errors.includes('planted'))
  },
  'SIGTERM with work in flight': {
    program: `${IN_FLIGHT}; setInterval(() => {}, 1000)`,
    kill: 'SIGTERM',
    expect: endsAtOnce(({ signal }) => signal === 'SIGTERM')
  },
  'the end after the last job': {
    program: `const tokenizer = await create(); await tokenizer.encode(image()); print('done')`,
    expect: endsAtOnce(({ code }) => code === 0)
  },
  'two copies of the package': {
    program: `
      const [one, two] = [await import('${index}'), await import(process.env.COPY)]
      const [a, b] = [await one.Tokenizer.create(${TOKENIZER}), await two.Tokenizer.create(${TOKENIZER})]
      const input = new Float32Array(3 * 32 * 32)
      const [x, y] = [await (await a.encode(one.tensor(input, [1, 3, 32, 32]))).data(), await (await b.encode(two.tensor(input, [1, 3, 32, 32]))).data()]
      print({ distinct: one.Tokenizer !== two.Tokenizer, equal: x.every((value, i) => value === y[i]) })`,
    expect: printed(({ distinct, equal }) => distinct && equal)
  },
  'modules loaded again, as by a reset of a test runner': {
    program: `
      let shape
      for (let i = 0; i < 20; i++) {
        const { addon } = await import('${index.replace('index.js', 'native/load.js')}?' + i)
        shape = typeof addon().info().threads
      }
      print(shape)`,
    expect: printed((type) => type === 'number')
  },
  '20,000 tensors that nobody disposes': {
    flags: ['--expose-gc'],
    program: `
      const before = megabytes()
      let most = 0
      for (let i = 0; i < 20_000; i++) {
        tensor(new Float32Array(25_000), [25_000])
        if (i % 200 === 0) { await new Promise((resolve) => setImmediate(resolve)); most = Math.max(most, memory().tensors) }
      }
      megabytes()
      await new Promise((resolve) => setTimeout(resolve, 50))
      print({ most, left: memory().tensors, grown: Math.round(megabytes() - before) })`,
    expect: printed(({ left, grown }) => left < 1000 && grown < 500)
  },
  'memory over 20,000 encodes': {
    flags: ['--expose-gc'],
    program: `
      const tokenizer = await create()
      const encode = async (count) => { for (let i = 0; i < count; i++) (await tokenizer.encode(image())).dispose() }
      await encode(2_000)
      const before = megabytes()
      await encode(20_000)
      print({ before: Math.round(before), after: Math.round(megabytes()) })`,
    expect: printed(({ before, after }) => after < before * 1.02)
  },
  'memory over 2,000 steps': {
    flags: ['--expose-gc'],
    program: `
      const { mkdtempSync, rmSync } = await import('node:fs')
      const dir = mkdtempSync('embedding-')
      const seen = []
      await trainTokenizer('tiny-32').set({ tokenizer: ${TOKENIZER}, batch: 4, log: { every: 100 } }).teacher(null)
        .data((await import('${index}')).imageFolder(${photos}))
        .on('step', ({ step }) => { if (step % 100 === 0) seen.push(megabytes()) })
        .run({ dir, steps: 3_200 })
      rmSync(dir, { recursive: true })
      print({ before: Math.round(seen[11]), after: Math.round(seen.at(-1)) })`,
    // The decoders' threads grow malloc's arenas for about a thousand steps, and a little after them.
    expect: printed(({ before, after }) => after < before * 1.05)
  }
}

run(async () => {
  const named = process.argv.slice(2)
  const copy = copyOfPackage()
  const failed = []
  for (const [name, one] of Object.entries(cases)) {
    if (named.length > 0 && !named.some((part) => name.includes(part))) continue
    const ended = await execute(one, { COPY: pathToFileURL(join(copy, 'dist', 'index.js')).href })
    const problem = one.expect(ended)
    if (problem) failed.push(name)
    say(`${name}: ${problem ?? 'as expected'} (${ended.seconds.toFixed(0)} s) ${JSON.stringify(ended.output) ?? ''}`)
  }
  rmSync(copy, { recursive: true })
  if (failed.length > 0) throw new Failure(`failed: ${failed.join(', ')}`)
})

/** The package once more, elsewhere. */
function copyOfPackage() {
  const copy = mkdtempSync(join(tmpdir(), 'mactok-copy-'))
  for (const name of ['package.json', 'dist', 'build', 'lib/setup'])
    cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/**
 * @param {Case} one
 * @param {Record<string, string>} environment
 * @returns {Promise<Ended>}
 */
function execute({ program, kill, flags = [] }, environment) {
  const started = performance.now()
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', `${PRELUDE}${program}`], {
    cwd: tmpdir(),
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let [output, errors, told] = ['', '', started]
  child.stdout.on('data', (text) => {
    output += text
    told = performance.now()
    if (kill) child.kill(kill)
  })
  child.stderr.on('data', (text) => {
    errors += text
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      const now = performance.now()
      const last = output.trim().split('\n').at(-1)
      const seconds = (now - started) / 1000
      resolve({
        code,
        signal,
        errors,
        seconds,
        ending: (now - told) / 1000,
        output: last ? JSON.parse(last) : undefined
      })
    })
  })
}
