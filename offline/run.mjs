// sh run.sh [part …]: builds, tests, measures and writes report/gpu-report.md and .json. Parts that passed are not repeated, unless one is
// named in full.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { driverVersion, whyDriverTooOld } from '../lib/native/driver.mjs'
import { cudaVersion, libTorchVersion, whyNotLibTorch } from '../lib/native/libtorch.mjs'
import { headersVersion } from '../lib/setup/cuda-headers.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { partsOf, remaining, select, SUITES } from './parts.mjs'
import { writeReport } from './report.mjs'

const HELP = `sh run.sh [part]         all parts, or those whose names begin so: build, tests, tests native, launches, bench, bench sit …
                        Those that passed are not run again, unless one is named in full. Ends with 1 until all of them have passed
  --device <name>       cuda (the default), cuda:1, cpu, stand-in (tests' CUDA device that is a CPU)
  --python <program>    with PyTorch, for the peer and, unless LIBTORCH names one, for its LibTorch (python3)
  --minutes <count>     for one part (8)
  --total <count>       start no part after so many minutes, for machines that limit a command; the next call goes on
  --list                the parts and what became of them
Environment: LIBTORCH=<folder>, CXX=<compiler>
`
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const report = join(root, 'report')
/** Milliseconds that a part has to end what it started, before it is killed. */
const grace = 5000

const interruption = new AbortController()
for (const [signal, code] of /** @type {const} */ ([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])) {
  process.on(signal, () => {
    process.exitCode = code
    interruption.abort()
  })
}

await run(async () => {
  const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      device: { type: 'string', default: 'cuda' },
      python: { type: 'string', default: 'python3' },
      minutes: { type: 'string', default: '8' },
      total: { type: 'string', default: 'Infinity' },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    }
  })
  if (options.help) return void process.stdout.write(HELP)
  const suites = SUITES.filter((suite) => existsSync(join(root, 'test', suite)))
  const parts = partsOf({ device: options.device, suites })
  const wanted = positionals.join(' ')
  const chosen = select(parts, wanted)
  if (chosen.length === 0) throw new Failure(`There is no part ${wanted}`, ['sh run.sh --list'])
  removeOtherResults()
  for (const folder of ['parts', 'logs']) mkdirSync(join(report, folder), { recursive: true })
  if (options.list) {
    for (const { name } of chosen) process.stdout.write(`${name.padEnd(32)} ${resultOf(name)?.outcome ?? ''}\n`)
    return
  }
  const libtorch = findLibTorch(options.python)
  const machine = describe(libtorch, options)
  const started = performance.now()
  const outcomeOf = (/** @type {string} */ name) => resultOf(name)?.outcome
  const write = () =>
    writeReport({ folder: report, machine, parts: parts.map(({ name }) => ({ name, ...resultOf(name) })) })
  for (const part of remaining(chosen, wanted, outcomeOf)) {
    const minutes = Math.min(Number(options.minutes), Number(options.total) - (performance.now() - started) / 60_000)
    if (minutes < 1) {
      say(`${part.name} is left for the next call`)
      break
    }
    if (part.kind !== 'build' && outcomeOf('build') !== 'passed') {
      say(`${part.name} is skipped, because nothing is built`)
      continue
    }
    await perform(part, { libtorch, minutes, options })
    if (interruption.signal.aborted) return say(`${part.name} was interrupted; the next call runs it again`)
    write()
  }
  write()
  say(`the report is ${join(report, 'gpu-report.md')}`)
  if (chosen.some(({ name }) => outcomeOf(name) !== 'passed')) process.exitCode = 1
})

/** The commit that was packed. */
function packedCommit() {
  return readFileSync(join(root, 'offline', 'commit'), 'utf8').trim()
}

/** Removes what another commit left, whose archive lay here before: it says nothing about this one. */
function removeOtherResults() {
  const file = join(report, 'commit')
  if (existsSync(file) && readFileSync(file, 'utf8') === packedCommit()) return
  rmSync(report, { recursive: true, force: true })
  mkdirSync(report)
  writeFileSync(file, packedCommit())
}

/** @param {string} name */
function fileOf(name) {
  return name.replaceAll(' ', '-')
}

/** @param {string} name @returns {{ outcome: string, seconds: number, tests?: any } | undefined} */
function resultOf(name) {
  const file = join(report, 'parts', `${fileOf(name)}.json`)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
}

/** Runs a part within its time; its output goes to a log. @param {import('./parts.mjs').Part} part @param {any} given */
async function perform(part, { libtorch, minutes, options }) {
  const log = join(report, 'logs', `${fileOf(part.name)}.log`)
  say(`${part.name} (at most ${minutes.toFixed(1)} minutes; ${log})`)
  const started = performance.now()
  const output = openSync(log, 'w')
  const child = spawn(process.execPath, commandOf(part, libtorch, minutes, options), {
    cwd: root,
    env: environmentFor(libtorch, part, options),
    stdio: ['ignore', output, output],
    detached: true
  })
  const kill = (/** @type {NodeJS.Signals} */ signal) => {
    try {
      process.kill(-Number(child.pid), signal)
    } catch {
      // All of its processes have ended.
    }
  }
  /** @type {NodeJS.Timeout | undefined} */
  let killing
  // A bench ends its programs, which are in groups of their own, when it is asked to end.
  const end = () => {
    kill('SIGTERM')
    killing ??= setTimeout(kill, grace, 'SIGKILL')
  }
  let isOver = false
  const timer = setTimeout(() => {
    isOver = true
    end()
  }, minutes * 60_000)
  interruption.signal.addEventListener('abort', end)
  const code = await new Promise((done) => child.on('close', done).on('error', () => done(1)))
  interruption.signal.removeEventListener('abort', end)
  clearTimeout(timer)
  clearTimeout(killing)
  kill('SIGKILL')
  closeSync(output)
  if (interruption.signal.aborted) return
  const result = {
    outcome: isOver ? 'time is over' : code === 0 ? 'passed' : 'failed',
    seconds: Math.round((performance.now() - started) / 1000),
    ...(part.kind === 'tests' && { tests: readTests(part.name) })
  }
  writeFileSync(join(report, 'parts', `${fileOf(part.name)}.json`), `${JSON.stringify(result, null, 1)}\n`)
  say(`${part.name}: ${result.outcome} after ${result.seconds} s`)
  if (result.outcome !== 'passed') say(tail(readFileSync(log, 'utf8')))
}

/** @param {string} text */
function tail(text) {
  return text.trimEnd().split('\n').slice(-12).join('\n')
}

/** @param {import('./parts.mjs').Part} part @param {string} libtorch @param {number} minutes @param {any} options */
function commandOf(part, libtorch, minutes, { device, python }) {
  if (part.kind === 'build') return ['offline/compile.mjs', libtorch, headersFor(libtorch)]
  if (part.kind === 'launches') return ['offline/launches.mjs', deviceOf(device), join(report, 'launches.json')]
  if (part.kind === 'tests') {
    const results = join(report, 'logs', `${fileOf(part.name)}.json`)
    rmSync(results, { force: true })
    const jest = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js']
    return [...jest, '--ci', '--json', `--outputFile=${results}`, '--', `test/${part.suite}/`]
  }
  const peer = device !== 'stand-in' && hasTorch(python) ? ['--python', python, '--variant', 'eager', 'compiled'] : ['--alone']
  return [
    'bench/run.mjs',
    ...['--case', String(part.case), '--size', String(part.size), '--dtype', 'bf16', '--device', deviceOf(device)],
    ...['--rounds', '1', '--measurements', '5', '--minutes', String(Math.max(1, Math.floor(minutes - 0.5)))],
    ...['--weights', join(root, 'made', 'weights'), '--data', join(root, 'made', 'images'), '--make-inputs'],
    ...['--merge', '--out', join(report, 'bench.json'), '--threads', String(availableParallelism())],
    ...peer
  ]
}

/** The stand-in device is called as the one that it stands in for. @param {string} device */
function deviceOf(device) {
  return device === 'stand-in' ? 'cuda' : device
}

/** @param {string} name */
function readTests(name) {
  const file = join(report, 'logs', `${fileOf(name)}.json`)
  if (!existsSync(file)) return undefined
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(file, 'utf8'))
  const failures = testResults.flatMap(({ assertionResults, message, name: path }) => {
    const failed = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName)
    return failed.length === 0 && message && assertionResults.length === 0 ? [`${path} does not run`] : failed
  })
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests, failures }
}

/** @param {string} python */
function findLibTorch(python) {
  const code = 'import importlib.util as u; s = u.find_spec("torch"); print(s.submodule_search_locations[0] if s else "")'
  const found = process.env.LIBTORCH ?? spawnSync(python, ['-c', code], { encoding: 'utf8' }).stdout?.trim()
  const remedies = ['LIBTORCH=<folder> names one, such as the torch folder of a Python installation', '--python <program>']
  if (!found) throw new Failure(`${python} has no torch, and LIBTORCH is not set`, remedies)
  const folder = resolve(found)
  const problem = whyNotLibTorch(folder)
  if (problem) throw new Failure(`${folder} is no LibTorch: ${problem}`, remedies)
  const version = libTorchVersion(folder)
  const [major, minor] = String(version).split('.').map(Number)
  if (major !== 2 || minor < 11 || minor > 15) say(`LibTorch ${version} was never tried; known are 2.11 to 2.15`)
  return folder
}

/** CUDA's headers beside LibTorch, else those of the archive if their version is the same. @param {string} libtorch */
function headersFor(libtorch) {
  if (!existsSync(join(libtorch, 'lib', 'libtorch_cuda.so'))) return ''
  const places = ['cu13', 'cuda_runtime'].map((name) => join(libtorch, '..', 'nvidia', name, 'include'))
  const wanted = cudaVersion(libtorch)
  return [...places, '/usr/local/cuda/include', join(root, 'cuda-include')].find(
    (folder) => headersVersion(folder) === wanted
  ) ?? ''
}

/** @param {string} python */
function hasTorch(python) {
  return spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0
}

/** Tests with real weights are skipped: those of the benches have random values. @param {string} libtorch @param {import('./parts.mjs').Part} part @param {{ device: string }} options */
function environmentFor(libtorch, part, { device }) {
  return {
    ...process.env,
    LIBTORCH: libtorch,
    MACTOK_CACHE: join(root, 'made', 'cache'),
    MACTOK_TEST_DEVICE: deviceOf(device),
    ...(device === 'stand-in' && { MACTOK_CUDA_LIBRARY: 'mactok_stand_in' }),
    MACTOK_WEIGHTS: join(root, 'made', part.kind === 'tests' ? 'none' : 'weights'),
    // Its sitecustomize.py adds the peer's packages that are missing.
    PYTHONPATH: [join(root, 'python'), process.env.PYTHONPATH].filter(Boolean).join(':')
  }
}

/** @param {string} libtorch @param {{ device: string }} options */
function describe(libtorch, { device }) {
  const driver = driverVersion()
  if (device.startsWith('cuda')) {
    const problem = driver ? whyDriverTooOld(cudaVersion(libtorch), driver) : 'no NVIDIA driver was found'
    if (problem) say(`${problem}: --device cpu runs everything on the CPU`)
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    device,
    driver: driver ?? 'none',
    libtorch: `${libTorchVersion(libtorch)}, CUDA ${cudaVersion(libtorch) ?? 'none'}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory: totalmem(),
    node: process.versions.node,
    commit: packedCommit()
  }
}
