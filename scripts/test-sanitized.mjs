// npm run test:sanitized [-- files or options of jest]: builds with AddressSanitizer and UndefinedBehaviorSanitizer in a folder of its own,
// reads 100,000 fuzzed archives and resamples as many images, and runs the suites that call the addon. A wrong access of memory, or
// undefined behaviour, ends the process with the sanitizer's report.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon } from '../lib/setup/addon.mjs'
import { findLibTorch } from '../lib/setup/libtorch.mjs'
import { Failure, run } from '../lib/setup/report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const tree = join(root, '.build', 'sanitized')
const ROOMS = ['native', 'tensor', 'tokenizer', 'generator', 'weights', 'latents', 'data', 'evaluation']
const SUITES = ROOMS.map((room) => `test/${room}/`)
/** Archives are written so many at a time. */
const [ROUNDS, FILES] = [20, 5_000]

run(async () => {
  if (process.platform !== 'linux') throw new Failure("GCC's sanitizers are used on Linux")
  const libtorch = await findLibTorch()
  const out = join(tree, 'build', 'Release')
  await buildAddon({ root, libtorch, tree, out, testing: true, sanitize: true })
  readArchives(libtorch)
  runSuites()
})

/** @param {string} libtorch */
function readArchives(libtorch) {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fuzzed-archives-'))
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: join(libtorch, 'lib'),
    OMP_NUM_THREADS: '1',
    ASAN_OPTIONS: 'detect_leaks=0'
  }
  try {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      execFileSync(process.execPath, [join(root, 'test/faults/write-files.mjs'), folder, String(FILES), String(seed)])
      const done = spawnSync(join(tree, 'parsers'), [folder, String(FILES)], {
        env,
        stdio: ['ignore', 1, 2]
      })
      if (done.status !== 0) throw new Failure(`The parsers end with ${done.signal ?? done.status}, seed ${seed}`)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function runSuites() {
  const library = (/** @type {string} */ name) =>
    execFileSync(process.env.CXX ?? 'g++', [`-print-file-name=lib${name}.so`], { encoding: 'utf8' }).trim()
  const given = process.argv.slice(2)
  const suites = given.some((argument) => argument.startsWith('test/')) ? [] : SUITES
  const jest = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js']
  const env = {
    ...process.env,
    // Before everything else, because node itself is not instrumented.
    LD_PRELOAD: ['asan', 'ubsan'].map(library).join(' '),
    // Node and LibTorch free nothing at the end; tests ask for more memory than there is.
    ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1',
    OMP_NUM_THREADS: '1',
    // node-gyp-build looks there first.
    MACTOK_PREBUILD: tree
  }
  const done = spawnSync(process.execPath, [...jest, ...suites, ...given], { cwd: root, env, stdio: ['ignore', 1, 2] })
  if (done.status !== 0) throw new Failure('Tests fail with the sanitized addon; see the messages above')
}
