// npm run pack:offline [-- <file>]: one archive that builds, tests and measures mactok on a machine without a network. See docs/gpu.md.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cudaVersion, libTorchVersion } from '../lib/native/libtorch.mjs'
import { headersVersion } from '../lib/setup/cuda-headers.mjs'
import { fetchCudaHeaders, findLibTorch } from '../lib/setup/libtorch.mjs'
import { installDependencies } from '../scripts/npm.mjs'
import { findPip, installByPip } from '../lib/setup/pip.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { requireCMake } from '../lib/setup/tools.mjs'
import { compileTypeScript } from '../scripts/typescript.mjs'
import { readCommands } from './commands.mjs'
import { packagesFor } from './packages.mjs'
import { SUITES } from './parts.mjs'

/** So that it can be carried to where 64 MB may be. */
const MOST_BYTES = 60e6
/** What the tests import beside the package's own dependencies; their TypeScript is compiled here. */
const TEST_PACKAGES = ['jest', '@jest/globals', 'fast-check', 'tar-stream']
/** Not needed where CMake's commands are replayed. */
const BUILD_PACKAGES = ['cmake-js']
/** What the peers import beside torch. */
const PYTHON_PACKAGES = ['timm', 'lpips', 'torchdiffeq', 'safetensors', 'packaging']

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const work = join(root, '.build', 'offline')
const stage = join(work, 'mactok-offline')

run(async () => {
  if (process.platform !== 'linux') throw new Failure('The archive is for the platform that packs it: Linux')
  requireCMake()
  installDependencies(root)
  await compileTypeScript(root)
  const libtorch = await findLibTorch()
  const cudaInclude = await fetchCudaHeaders()
  rmSync(stage, { recursive: true, force: true })
  mkdirSync(stage, { recursive: true })

  say('reading the commands of the build')
  const build = readCommands({
    ...{ root, libtorch, cudaInclude },
    tree: join(work, 'tree'),
    version: String(libTorchVersion(libtorch)),
    cuda: Number(headersVersion(cudaInclude) ?? cudaVersion(libtorch))
  })
  say('copying')
  copySources()
  writeFileSync(join(stage, 'offline', 'commands.json'), `${JSON.stringify(build, null, 1)}\n`)
  writeFileSync(join(stage, 'offline', 'commit'), `${commit()}\n`)
  compileTests()
  copyPackages()
  leaveOutTests()
  copyHeaders(cudaInclude, join(stage, 'cuda-include'))
  copyNode()
  addPython()
  const archive = resolve(process.argv[2] ?? join(work, 'mactok-offline.tar.xz'))
  say('packing')
  execute('tar', ['--create', '--xz', '--file', archive, '--directory', work, '--owner=0', '--group=0', 'mactok-offline'], {
    XZ_OPT: '-9 -T0'
  })
  const { size } = statSync(archive)
  say(`${archive}: ${(size / 1e6).toFixed(1)} MB`)
  if (size > MOST_BYTES) throw new Failure(`The archive is larger than ${MOST_BYTES / 1e6} MB`)
})

/** Sources, tests with their reference numbers, benches, and TypeScript compiled. */
function copySources() {
  for (const name of ['native', 'bench', 'offline', 'scripts', 'dist', 'examples/photos', 'package.json', 'LICENSE']) {
    cpSync(join(root, name), join(stage, name), { recursive: true, filter: isNeeded })
  }
  // JavaScript that scripts need before TypeScript is compiled.
  const early = (/** @type {string} */ name) => name.endsWith('.mjs') || name === join('setup', 'wheels.json')
  for (const name of filesBelow(join(root, 'lib')).filter(early)) {
    cpSync(join(root, 'lib', name), join(stage, 'lib', name))
  }
  for (const name of ['golden', 'cases', 'support', 'faults', ...SUITES].filter((name) => existsSync(join(root, 'test', name)))) {
    cpSync(join(root, 'test', name), join(stage, 'test', name), { recursive: true, filter: isNeeded })
  }
  copyFileSync(join(root, 'offline', 'run.sh'), join(stage, 'run.sh'))
}

/** @param {string} path */
const isNeeded = (path) => !/(__pycache__|\.(map|d\.ts|d\.mts|stamp))$/.test(path)

/** Tests run as JavaScript, on dist/ instead of lib/. */
function compileTests() {
  const swc = createRequire(import.meta.url)('@swc/core')
  for (const name of filesBelow(join(stage, 'test')).filter((name) => name.endsWith('.ts'))) {
    const file = join(stage, 'test', name)
    const { code } = swc.transformSync(readFileSync(file, 'utf8'), {
      filename: file,
      swcrc: false,
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' }
    })
    writeFileSync(file.replace(/\.ts$/, '.js'), code)
    rmSync(file)
  }
  writeFileSync(
    join(stage, 'jest.config.js'),
    `process.env.MACTOK_ADDON = 'mactok_testing'
export default {
  testEnvironment: './test/support/environment.cjs',
  testMatch: ['<rootDir>/test/**/*.test.js'],
  moduleNameMapper: { '^(\\\\.{1,2}/.*)/lib/(.*)\\\\.js$': '$1/dist/$2' },
  transform: {},
  maxWorkers: 1,
  testTimeout: 120_000
}
`
  )
}

function copyPackages() {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const own = Object.keys(manifest.dependencies).filter((name) => !BUILD_PACKAGES.includes(name))
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
  for (const path of packagesFor(lock, [...own, ...TEST_PACKAGES])) {
    const from = join(root, path)
    // Packages for other platforms are not installed.
    if (!existsSync(from)) continue
    const isOwn = (/** @type {string} */ file) => !/(^|\/)node_modules(\/|$)/.test(relative(from, file))
    const isText = (/** @type {string} */ file) => /\.(md|map|d\.ts|d\.mts|d\.cts|flow|ts|mts|cts)$/i.test(file)
    cpSync(from, join(stage, path), { recursive: true, filter: (file) => isOwn(file) && !isText(file) })
  }
}

/** Leaves out the tests of packages that are too large to carry. */
function leaveOutTests() {
  for (const name of filesBelow(join(stage, 'test')).filter((name) => name.endsWith('.test.js'))) {
    const file = join(stage, 'test', name)
    const imported = [...readFileSync(file, 'utf8').matchAll(/^import\b[^"'\n]*["']([^."'][^"']*)["']/gm)].map(([, path = '']) => path)
    const missing = imported
      .filter((path) => !path.startsWith('node:'))
      .map((path) => path.split('/', path.startsWith('@') ? 2 : 1).join('/'))
      .find((name) => !existsSync(join(stage, 'node_modules', name)))
    if (missing === undefined) continue
    rmSync(file)
    say(`without test/${name}, which needs ${missing}`)
  }
}

/** @param {string} from @param {string} to */
function copyHeaders(from, to) {
  cpSync(from, to, { recursive: true, filter: (file) => statSync(file).isDirectory() || /\.(h|hpp)$/.test(file) })
}

/** Node without its symbol table, which is a fifth of it. */
function copyNode() {
  const node = join(stage, 'bin', 'node')
  mkdirSync(dirname(node), { recursive: true })
  copyFileSync(process.execPath, node)
  spawnSync('strip', ['--strip-unneeded', node], { stdio: 'ignore' })
  execute(node, ['--version'])
}

function addPython() {
  const requirements = readFileSync(join(root, 'bench', 'requirements.txt'), 'utf8').split('\n')
  const folder = join(stage, 'python')
  const pip = findPip()
  for (const name of PYTHON_PACKAGES) {
    installByPip(pip, requirements.find((line) => line.startsWith(`${name}==`)) ?? name, join(folder, 'packages'))
  }
  for (const name of filesBelow(folder).filter((name) => /\.pyc$|(^|\/)(tests?|bin)\//.test(name))) rmSync(join(folder, name))
  copyFileSync(join(root, 'offline', 'sitecustomize.py'), join(folder, 'sitecustomize.py'))
}

/** @param {string} folder */
const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(folder, name)).isFile())

const commit = () => {
  const done = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], { cwd: root, encoding: 'utf8' })
  return done.status === 0 ? done.stdout.trim() : 'unknown'
}

/** @param {string} program @param {string[]} parameters @param {Record<string, string>} [environment] */
function execute(program, parameters, environment = {}) {
  const options = { env: { ...process.env, ...environment }, stdio: /** @type {const} */ (['ignore', 'ignore', 'inherit']) }
  const done = spawnSync(program, parameters, options)
  if (done.status !== 0) throw new Failure(`${program} ${parameters.join(' ')} fails`)
}
