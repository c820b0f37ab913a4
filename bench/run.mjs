#!/usr/bin/env node
/** npm run bench: us and PyTorch side by side. See README.md. */

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { cacheFolder } from '../lib/files/cache.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { cases, gpuVariants, quick, variants, withoutGraphs } from './cases.mjs'
import { pythonEnvironment } from './environment.mjs'
import { beside, processes, TimeOver } from './processes.mjs'
import { goalsTable, limitTable, resultsTable, writeDocs } from './report.mjs'
import { best, difference, distance } from './statistics.mjs'
import { summarize } from './verdict.mjs'

/** @param {string} text */
const positive = (text) => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a positive integer')
  return value
}

const options = new Command('npm run bench --')
  .description('Runs us and PyTorch alternately and prints how many times as fast we are.')
  .addOption(new Option('--case <name...>', 'what is compared').choices(Object.keys(cases)))
  .option('--size <name...>', 'sizes: tiny, vit-s, vit-b, sit-s, sit-b; on cuda also vit-b-32, sit-xl-256, …')
  .addOption(new Option('--dtype <name...>', 'precision of both sides').choices(['fp32', 'bf16']))
  .addOption(new Option('--variant <name...>', "the peer's").choices(variants.map(({ name }) => name)))
  .option('--rounds <count>', 'processes of each side, alternating (default: 3)', positive)
  .option('--measurements <count>', 'measurements in each process', positive, 3)
  .option('--threads <count>', 'threads of both sides', positive, availableParallelism())
  .addOption(new Option('--device <kind>', 'where').choices(['cpu', 'cuda']).default('cpu'))
  .option('--quick', 'small sizes, one round, the faster attention, at most 15 minutes')
  .option('--minutes <count>', 'skip the rows that are left after so many minutes (with --quick: 15)', positive)
  .option('--data <folder>', 'image folder for `encode`', join(process.env.MACTOK_DATA ?? beside('data'), 'imagenet'))
  .option('--weights <folder>', 'dinov2-small, lpips-vgg', process.env.MACTOK_WEIGHTS ?? beside('weights'))
  .option('--python <interpreter>', 'an environment with bench/requirements.txt, instead of making one')
  .option('--alone', 'only us: no PyTorch, no shares of the limit')
  .option(
    '--make-inputs',
    'make the weights and images that are missing: random values, crops of the example photographs'
  )
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
  /** @type {[string, import('./cases.mjs').Case][]} */
  const ordered = options.quick ? quick.order.map((name) => [name, cases[name]]) : Object.entries(cases)
  const cuda = options.device === 'cuda'
  return ordered
    .filter(([name]) => !options.case || options.case.includes(name))
    .filter(([, one]) => !(cuda && one.cpuOnly))
    .flatMap(([name, one]) =>
      Object.entries(one.sizes)
        .filter(([size]) => (!sizes || sizes.includes(size)) && small(name, size))
        .filter(([size, shape]) => sizes || cuda === (shape.device === 'cuda' || (cuda && size === 'tiny')))
        .flatMap(([size, shape]) =>
          (shape.dtypes ?? one.dtypes ?? ['bf16', 'fp32'])
            .filter((dtype) => !dtypes || one.dtypes || dtypes.includes(dtype))
            .filter((dtype) => !only || dtypes || (only[name] ?? only.others).includes(dtype))
            .map((dtype) => ({ name, one, size, shape, dtype }))
        )
    )
}

const minutes = options.minutes ?? (options.quick ? quick.minutes : Number.POSITIVE_INFINITY)
let started = Number.POSITIVE_INFINITY
const { worker, peer } = processes({ ...options, deadline: () => started + minutes * 60_000 })

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
  const { steps: _steps, goal: _goal, device: _device, ...about } = shape
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
  const cuda = options.device === 'cuda'
  const hasPeer = one.peer && !options.alone
  const peers = hasPeer
    ? (cuda ? gpuVariants : variants)
        .filter(({ name }) => !options.variant || options.variant.includes(name))
        .filter(({ name }) => cuda || !options.quick || name.endsWith('bmm'))
        .filter(({ compiled }) => !(one.eagerOnly && compiled))
    : []
  const sides = [{ name: 'mactok' }, ...(cuda && one.graphs ? [withoutGraphs] : []), ...peers]
  /** @type {Record<string, { seconds: number[], memory: number[], settled: boolean, losses?: number[], samples?: number[], error?: string }>} */
  const found = Object.fromEntries(sides.map((side) => [side.name, { seconds: [], memory: [], settled: true }]))
  // A process that is one measurement says nothing about its spread.
  const rounds = options.rounds ?? (options.quick && !one.whole ? quick.rounds : 3)
  for (let round = 0; round < rounds; round++) {
    for (const side of sides) {
      const { seconds, memory } = found[side.name]
      if (found[side.name].error) continue
      const given = JSON.stringify({ ...spec, ...side })
      try {
        const isOurs = side.name.startsWith('mactok')
        const answer = isOurs ? await worker(one.worker, given) : await peer(python, one.peer, given)
        seconds.push(...(answer.seconds ?? [answer.wall]))
        memory.push(answer.memory ?? 0)
        found[side.name].settled &&= answer.settled ?? true
        found[side.name].losses ??= answer.losses
        found[side.name].samples ??= answer.samples
        say(`${name} ${size} ${dtype} ${side.name}: ${(seconds.at(-1) ?? 0).toPrecision(4)} s`)
      } catch (error) {
        // What was measured before the time was over is kept.
        const isOver = error instanceof TimeOver
        if (side.name === 'mactok' && !(isOver && seconds.length > 0)) throw error
        found[side.name].error = isOver ? 'its time is over' : error.message
        say(`${side.name} is skipped: ${found[side.name].error}`)
      }
    }
  }
  const measured = Object.entries(found)
    .filter(([, { seconds }]) => seconds.length > 0)
    .map(([side, { seconds, memory, settled, losses, samples }]) => ({
      name: side,
      ...summarize(seconds, settled),
      settled,
      memory: Math.max(...memory),
      losses,
      samples,
      seconds
    }))
  /** @type {any[]} */
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
  const strongest = best(others.filter((other) => !other.name.startsWith('mactok')))
  return {
    // Samples are thousands of numbers, and only served the comparison.
    case: name,
    size,
    dtype,
    measured: measured.map(({ samples, ...side }) => side),
    flops: one.flops?.(shape) ?? null,
    images: one.images?.(shape) ?? null,
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
  if (options.makeInputs) {
    const { makeImages, makeWeights } = await import('./inputs.mjs')
    await makeWeights(options.weights)
    await makeImages(options.data, 600)
  }
  for (const [option, folder] of [
    ['--weights', options.weights],
    ...(rows.some(({ name }) => name === 'encode') ? [['--data', options.data]] : [])
  ]) {
    if (existsSync(folder)) continue
    throw new Failure(`There is no folder ${folder} for ${option}`, [
      `${option} <folder> names another`,
      '--make-inputs makes it: weights of random values, which cost the same, and crops of the example photographs'
    ])
  }
  const python = options.alone ? '' : (options.python ?? (await pythonEnvironment()))
  started = performance.now()
  mkdirSync(join(cacheFolder(), 'bench-scratch'), { recursive: true })
  const scratch = mkdtempSync(join(cacheFolder(), 'bench-scratch', 'run-'))
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }))
  /** @type {any} */
  const results =
    options.merge && existsSync(options.out) ? JSON.parse(readFileSync(options.out, 'utf8')) : { rows: [], limits: {} }
  results.machine = machine()
  for (const dtype of options.alone ? [] : new Set(rows.map((row) => row.dtype))) {
    const asked = JSON.stringify({ precision: dtype, threads: options.threads, device: options.device })
    const { rate, torch, name } = await peer(python, 'gemm', asked)
    results.limits[dtype] = rate
    results.machine.torch = torch
    if (name) results.machine.gpu = name
    say(`matrix products in ${dtype}: ${(rate / 1e9).toFixed(0)} GFLOP/s`)
  }
  const skipped = []
  for (const row of rows) {
    const what = `${row.name} ${row.size} ${row.dtype}`
    let result
    try {
      result = await measure(row, python, scratch)
    } catch (error) {
      // One row that fails does not stop the others.
      const over = error instanceof TimeOver
      if (!over && !(error instanceof Failure)) throw error
      say(over ? `${what} is skipped: its time (${minutes} min) is over` : `${what} fails: ${error.message}`)
      skipped.push(what)
      if (!over) process.exitCode = 1
      continue
    }
    const same = (other) => other.case === row.name && other.size === row.size && other.dtype === row.dtype
    results.rows = [...results.rows.filter((other) => !same(other)), result]
    writeFileSync(options.out, `${JSON.stringify(results)}\n`)
  }
  process.stdout.write(`${resultsTable(results)}\n\n${limitTable(results)}\n\n${goalsTable(results)}\n`)
  if (skipped.length === rows.length) process.exitCode = 1
  if (skipped.length > 0) process.stdout.write(`\nSkipped: ${skipped.join('; ')}\n`)
  if (options.docs) writeDocs(results)
})
