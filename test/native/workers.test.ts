import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from '@jest/globals'
import { device, native, tokenizerConfig, trainerConfig } from '../support/native.js'
import { testWhere } from '../support/paths.js'

// Workers and child processes run the compiled package, which `npm test` makes first.
const load = JSON.stringify(new URL('../../dist/native/load.js', import.meta.url).href)
const root = fileURLToPath(new URL('../..', import.meta.url))

const config = JSON.stringify(tokenizerConfig())
const training = JSON.stringify(trainerConfig({ alignment: { local: false, global: false }, masking: { semantic: 0 } }))

/** Trains a tiny tokenizer; `report` gets the loss of each step. */
const program = (steps: number, report: string) => `
  const { addon } = await import(${load})
  const native = addon()
  const tokenizer = await native.createTokenizer(${config}, '${device}', 4)
  const trainer = await native.createTokenizerTrainer(tokenizer, null, ${training})
  const noise = native.uniform(1, 'pixels', 0, 0, 4, 768)
  const images = native.tensor(Uint8Array.from(noise, (value) => value * 256), 'uint8', [4, 16, 16, 3], '${device}')
  for (let step = 0; step < ${steps}; step++) {
    await trainer.step([images], { step, lr: 1e-3, weights: { reconstruction: 1, kl: 1e-6, alignment: 0 } })
    ${report}
  }
`

const start = (code: string) => new Worker(`(async () => { ${code} })()`, { eval: true })

const results = (worker: Worker) =>
  new Promise<number[]>((resolve, reject) => {
    const losses: number[] = []
    worker.on('message', (loss: number) => losses.push(loss))
    worker.on('error', reject)
    worker.on('exit', () => resolve(losses))
  })

const report = `
    const { total } = await trainer.metrics()
    require('node:worker_threads').parentPort.postMessage(total)`

/** Runs a program in a Node process of its own. */
const child = (code: string, ...flags: string[]) =>
  promisify(execFile)(process.execPath, [...flags, '--input-type=module', '--eval', code], {
    cwd: root,
    timeout: 60_000
  })

describe('worker threads', () => {
  test('train concurrently as one alone does', async () => {
    const alone = await results(start(program(6, report)))
    expect(alone).toHaveLength(6)
    expect(alone.every(Number.isFinite)).toBe(true)
    const together = await Promise.all(Array.from({ length: 4 }, () => results(start(program(6, report)))))
    expect(together).toEqual([alone, alone, alone, alone])
  })

  test('may be terminated with work in flight, while others continue', async () => {
    const survivor = results(start(program(30, report)))
    for (let i = 0; i < 6; i++) {
      const worker = start(program(1e6, report))
      await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
    }
    expect(await survivor).toHaveLength(30)
    expect(native().uniform(1, 'alive', 0, 0, 1, 1)).toHaveLength(1)
  })

  test('may be terminated while they queue without awaiting', async () => {
    // To run them all would take minutes.
    const flood = start(`${program(1, '')}
      for (let i = 0; i < 20_000; i++) void trainer.gradients([images], { step: i, lr: 0, weights: { reconstruction: 1, kl: 0, alignment: 0 } })
      require('node:worker_threads').parentPort.postMessage(0)`)
    await new Promise((resolve) => flood.once('message', resolve))
    const before = performance.now()
    await flood.terminate()
    expect(performance.now() - before).toBeLessThan(30_000)
  })

  test('load the addon again after all others have ended', async () => {
    for (let i = 0; i < 3; i++) expect(await results(start(program(2, report)))).toHaveLength(2)
  })
})

describe('a process', () => {
  test('ends by itself when nothing is pending', async () => {
    const { stdout } = await child(`${program(2, '')}; console.log('done')`)
    expect(stdout).toBe('done\n')
  })

  test('may exit with work in flight', async () => {
    const { stdout } = await child(`${program(2, '')}
      for (let i = 0; i < 200; i++) void trainer.gradients([images], { step: i, lr: 0, weights: { reconstruction: 1, kl: 0, alignment: 0 } })
      console.log('leaving')
      process.exit(0)`)
    expect(stdout).toBe('leaving\n')
  })

  test('waits for pending work before it ends', async () => {
    const { stdout } = await child(`${program(1, '')}
      trainer.metrics().then(({ steps }) => console.log(steps))`)
    expect(stdout).toBe('1\n')
  })

  const isSanitized = /asan/.test(process.env.LD_PRELOAD ?? '')
  testWhere(!isSanitized, 'freed memory goes back at once; AddressSanitizer keeps it')(
    'collects handles that were not disposed',
    async () => {
      const { stdout } = await child(
        `const { addon } = await import(${load})
      const native = addon()
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 500; i++) native.tensor(new Uint8Array(100_000), 'uint8', [100_000], '${device}')
        global.gc()
        await new Promise((resolve) => setImmediate(resolve))
      }
      global.gc()
      await new Promise((resolve) => setTimeout(resolve, 10))
      console.log(native.memory().tensors < 1000, process.memoryUsage().rss < 600e6)`,
        '--expose-gc'
      )
      expect(stdout).toBe('true true\n')
    }
  )
})
