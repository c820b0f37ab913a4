// npm run test:device [-- files or options of jest]: runs the suites of everything that uses a device on the stand-in device
// (native/testing/device), and prints how many tests passed, and in what time.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure, run } from '../lib/setup/report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const ROOMS = ['native', 'tokenizer', 'teacher', 'tensor', 'generator', 'training', 'evaluation', 'latents', 'pipeline']
const SUITES = [...ROOMS, 'device'].map((room) => `test/${room}/`)

run(() => {
  if (process.platform !== 'linux') throw new Failure('The stand-in device runs on Linux')
  const given = process.argv.slice(2)
  const suites = given.some((argument) => argument.startsWith('test/')) ? [] : SUITES
  const folder = mkdtempSync(join(tmpdir(), 'mactok-device-'))
  const results = join(folder, 'results.json')
  try {
    const jest = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js']
    const started = Date.now()
    const done = spawnSync(process.execPath, [...jest, ...suites, ...given, '--json', `--outputFile=${results}`], {
      cwd: root,
      // One thread: the tensors are tiny, and threads would wait for each other longer than they compute.
      env: { MACTOK_TEST_DEVICE: 'cuda', ...process.env, OMP_NUM_THREADS: '1', MACTOK_CUDA_LIBRARY: 'mactok_stand_in' },
      stdio: ['ignore', 'ignore', 2]
    })
    if (done.signal) throw new Failure(`The tests ended by ${done.signal}`)
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(results, 'utf8'))
    const seconds = Math.round((Date.now() - started) / 1000)
    process.stdout.write(
      `on the stand-in device: ${numPassedTests} tests passed, ${numFailedTests} failed, ${numPendingTests} skipped, in ${seconds} s\n`
    )
    if (done.status !== 0) throw new Failure('Tests fail on the stand-in device; see the messages above')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
