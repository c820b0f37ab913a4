// For maintainers: node scripts/libtorch-versions.mjs [2.11 2.12 …]    (npm run check:libtorch)
// builds the addon against older LibTorches, each below .build/, and tests it against the goldens.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon } from '../lib/setup/addon.mjs'
import { findOlderLibTorch, OLDER_VERSIONS } from '../lib/setup/libtorch.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { compileTypeScript } from './typescript.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Tests of everything that calls LibTorch, against the references' numbers. */
const TESTS = ['test/tokenizer', 'test/teacher', 'test/tensor', 'test/native', 'test/generator']
/** Tests that expect the pinned version. */
const EXCEPT = ['test/native/load']

run(async () => {
  const wanted = process.argv.slice(2)
  // Some tests run the compiled package.
  await compileTypeScript(root)
  for (const version of wanted.length > 0 ? wanted.map(full) : OLDER_VERSIONS) {
    const libtorch = await findOlderLibTorch(version)
    const tree = join(root, '.build', `libtorch-${version}`)
    say(`LibTorch ${version}`)
    await buildAddon({ root, libtorch, tree, out: join(tree, 'build', 'Release') })
    const passed = test(libtorch, tree)
    process.stdout.write(`LibTorch ${version}: builds, ${passed} tests pass\n`)
  }
})

/** @param {string} series */
function full(series) {
  const version = OLDER_VERSIONS.find((known) => known === series || known.startsWith(`${series}.`))
  if (version) return version
  throw new Failure(`LibTorch ${series} is not pinned`, [`pinned are ${OLDER_VERSIONS.join(', ')} (scripts/pin.mjs)`])
}

/**
 * Runs the tests on that build; returns how many passed.
 * @param {string} libtorch
 * @param {string} build
 * @returns {number}
 */
function test(libtorch, build) {
  const jest = ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning', 'node_modules/jest/bin/jest.js']
  const options = ['--ci', '--json', '--testPathIgnorePatterns', 'node_modules', ...EXCEPT, '--', ...TESTS]
  const done = spawnSync(process.execPath, [...jest, ...options], {
    cwd: root,
    // node-gyp-build looks there first.
    env: { ...process.env, LIBTORCH: libtorch, MACTOK_PREBUILD: build },
    stdio: ['ignore', 'pipe', 2],
    encoding: 'utf8',
    maxBuffer: 1 << 28
  })
  if (done.status !== 0) throw new Failure('Tests fail; see the messages above')
  return JSON.parse(done.stdout).numPassedTests
}
