#!/usr/bin/env node
/** npm run bench: us and PyTorch side by side. See README.md. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { cacheFolder } from '../lib/files/cache.mjs'
import { Failure, run, say } from '../scripts/report.mjs'
import { cases, quick, variants } from './cases.mjs'
import { pythonEnvironment } from './environment.mjs'
import { beside, processes } from './processes.mjs'
import { goalsTable, limitTable, resultsTable, writeDocs } from './report.mjs'
import { best, difference, distance, summary } from './statistics.mjs'

/** @param {string} text */
const positive = (text) => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a positive integer')
  return value
}

const options = new Command('npm run bench --')
  .description('Runs us and PyTorch alternately and prints how many times as fast we are.')
  .addOption(new Option('--case <name...>', 'what is compared').choices(Object.keys(cases)))
  .option('--size <name...>', 'sizes: tiny, vit-s, vit-b, sit-s, sit-b')
  .addOption(new Option('--dtype <name...>', 'precision of both sides').choices(['fp32', 'bf16']))
  .addOption(new Option('--variant <name...>', "the peer's").choices(variants.map(({ name }) => name)))
  .option('--rounds <count>', 'processes of each side, alternating (default: 3)', positive)
  .option('--measurements <count>', 'measurements in each process', positive, 3)
  .option('--threads <count>', 'threads of both sides', positive, availableParallelism())
  .addOption(new Option('--device <kind>', 'where').choices(['cpu', 'cuda']).default('cpu'))
  .option('--quick', 'small sizes, one round, the faster attention: below 15 minutes on two cores')
  .option('--data <folder>', 'image folder for `encode`', join(process.env.MACTOK_DATA ?? beside('data'), 'imagenet'))
  .option('--weights <folder>', 'dinov2-small, lpips-vgg', process.env.MACTOK_WEIGHTS ?? beside('weights'))
  .option('--python <interpreter>', 'an environment with bench/requirements.txt, instead of making one')
  .option('--out <file>', 'raw numbers', 'bench.json')
  .option('--merge', 'keep what --out has of other cases, sizes and dtypes')
  .option('--docs', 'write docs/benchmarks.md from the numbers in --out')
  .option('--list', 'say what would be compared, and stop')
  .parse()
  .opts()

/** Every (case, size, dtype) that was requested. */
function plan() {
  const only = options.quick && quick.dtypes
  const small = (name, size) =>
    !options.quick || options.size || (quick.sizes[name] ?? quick.sizes.others).includes(size)
  const { size: sizes, dtype: dtypes } = options
  const known = new Set(Object.values(cases).flatMap((one) => Object.keys(one.sizes)))
  const unknown = options.size?.find((size) => !known.has(size))
  if (unknown) throw new Failure(`Expected --size to be among ${[...known].join(', ')} but received ${unknown}`)
  return Object.entries(cases)
    .filter(([name]) => !options.case || options.case.includes(name))
    .flatMap(([name, one]) =>
      Object.entries(one.sizes)
        .filter(([size]) => (!sizes || sizes.includes(size)) && small(name, size))
        .flatMap(([size, shape]) =>
          (shape.dtypes ?? one.dtypes ?? ['bf16', 'fp32'])
            .filter((dtype) => !dtypes || one.dtypes || dtypes.includes(dtype))
            .filter((dtype) => !only || dtypes || (only[name] ?? only.others).includes(dtype))
            .map((dtype) => ({ name, one, size, shape, dtype }))
        )
    )
}

const { worker, peer } = processes(options)

/** What the workers of a case share, created once per size. */
const made = new Map()
async function fixtures({ name, one, size, shape, dtype }, scratch) {
  if (!one.fixtures) return {}
  const spec = { ...shape, ...one.spec, precision: dtype, device: options.device, data: resolve(options.data) }
  const key = JSON.stringify([one.fixtures, size, spec.recipe === 'plain', shape.batch])
  if (!made.has(key)) {
    const folder = join(scratch, `${one.fixtures}-${size}-${made.size}`)
    made.set(key, await worker('fixtures', one.fixtures, folder, JSON.stringify(spec)))
  }
  const found = made.get(key)
  return one.fixtures === 'generator'
    ? { ...found, known: join(found.folder, '..', name === 'sit' ? 'training.safetensors' : 'sampling.safetensors') }
    : found
}

/** Measures one row: us and the variants of the peer alternately. */
async function measure(row, python, scratch) {
  const { name, one, size, shape, dtype } = row
  const { steps: _steps, goal: _goal, ...about } = shape
  const spec = {
    warmup: 2,
    steps: shape.steps,
    rounds: options.measurements,
    threads: options.threads,
    device: options.device,
    ...about,
    ...one.spec,
    precision: dtype,
    data: resolve(options.data),
    scratch,
    ...(await fixtures(row, scratch))
  }
  const peers = one.peer
    ? variants
        .filter(({ name }) => !options.variant || options.variant.includes(name))
        .filter(({ name }) => !options.quick || name.endsWith('bmm'))
        .filter(({ compiled }) => !(one.eagerOnly && compiled))
    : []
  const sides = [{ name: 'mactok' }, ...peers]
  /** @type {Record<string, { seconds: number[], memory: number[], losses?: number[], samples?: number[], error?: string }>} */
  const found = Object.fromEntries(sides.map((side) => [side.name, { seconds: [], memory: [] }]))
  const rounds = options.rounds ?? (options.quick ? quick.rounds : 3)
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const { seconds, memory } = found[side.name]
      if (found[side.name].error) continue
      const given = JSON.stringify({ ...spec, ...side })
      try {
        const answer = side.name === 'mactok' ? await worker(one.worker, given) : await peer(python, one.peer, given)
        seconds.push(...(answer.seconds ?? [answer.wall]))
        memory.push(answer.memory ?? 0)
        found[side.name].losses ??= answer.losses
        found[side.name].samples ??= answer.samples
        say(`${name} ${size} ${dtype} ${side.name}: ${(seconds.at(-1) ?? 0).toPrecision(4)} s`)
      } catch (error) {
        if (side.name === 'mactok') throw error
        found[side.name].error = error.message
        say(`${side.name} is skipped: ${error.message}`)
      }
    }
  }
  const measured = Object.entries(found)
    .filter(([, { seconds }]) => seconds.length > 0)
    .map(([side, { seconds, memory, losses, samples }]) => ({
      name: side,
      ...summary(seconds),
      memory: Math.max(...memory),
      losses,
      samples,
      seconds
    }))
  const [ours, ...others] = measured
  for (const other of others) {
    if (ours.losses) other.apart = difference(ours.losses, other.losses)
    else if (ours.samples) other.apart = distance(ours.samples, other.samples)
    else continue
    const allowed = one.agreement?.[dtype] ?? 0
    if (other.apart > allowed) {
      const shown = (side) => (side.losses ?? side.samples.slice(0, 8)).map((value) => value.toPrecision(5))
      throw new Failure(
        `${name} ${size} ${dtype}: ${other.name} computes something else: ${shown(other)} where we have ${shown(ours)}, ${other.apart.toPrecision(2)} apart where ${allowed} is allowed`
      )
    }
  }
  const eager = best(others.filter((other) => other.name.startsWith('eager')))
  const compiled = best(others.filter((other) => other.name.startsWith('compiled')))
  const strongest = best(others)
  return {
    // Samples are thousands of numbers, and only served the comparison.
    case: name,
    size,
    dtype,
    measured: measured.map(({ samples, ...side }) => side),
    flops: one.flops?.(shape) ?? null,
    ratio: { eager: eager && eager.median / ours.median, compiled: compiled && compiled.median / ours.median },
    memory: strongest && ours.memory > 0 ? ours.memory / strongest.memory : null,
    errors: Object.fromEntries(Object.entries(found).flatMap(([side, { error }]) => (error ? [[side, error]] : [])))
  }
}

/** Versions and machine, reported beside the numbers. */
const machine = () => ({
  date: new Date().toISOString().slice(0, 10),
  node: process.version,
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  threads: options.threads,
  memory: totalmem(),
  device: options.device
})

await run(async () => {
  const rows = plan()
  if (rows.length === 0) throw new Failure('No case has that size and dtype', ['npm run bench -- --list'])
  if (options.list) {
    for (const { name, size, dtype, one } of rows)
      process.stdout.write(`${name.padEnd(16)} ${size.padEnd(6)} ${dtype}  ${one.about}\n`)
    return
  }
  for (const [option, folder] of [
    ['--weights', options.weights],
    ...(rows.some(({ name }) => name === 'encode') ? [['--data', options.data]] : [])
  ]) {
    if (!existsSync(folder)) throw new Failure(`${option}: ${folder} is not there`)
  }
  const python = options.python ?? (await pythonEnvironment())
  const scratch = join(cacheFolder(), 'bench-scratch')
  mkdirSync(scratch, { recursive: true })
  /** @type {any} */
  const results =
    options.merge && existsSync(options.out) ? JSON.parse(readFileSync(options.out, 'utf8')) : { rows: [], limits: {} }
  results.machine = machine()
  for (const dtype of new Set(rows.map((row) => row.dtype))) {
    const asked = JSON.stringify({ precision: dtype, threads: options.threads })
    const { rate, torch } = await peer(python, 'gemm', asked)
    results.limits[dtype] = rate
    results.machine.torch = torch
    say(`matrix products in ${dtype}: ${(rate / 1e9).toFixed(0)} GFLOP/s`)
  }
  for (const row of rows) {
    const result = await measure(row, python, scratch)
    const same = (other) => other.case === row.name && other.size === row.size && other.dtype === row.dtype
    results.rows = [...results.rows.filter((other) => !same(other)), result]
    writeFileSync(options.out, `${JSON.stringify(results)}\n`)
  }
  process.stdout.write(`${resultsTable(results)}\n\n${limitTable(results)}\n\n${goalsTable(results)}\n`)
  if (options.docs) writeDocs(results)
})
