// npm run package: writes the tarballs that are published, into .build/packages:
//   mactok-<version>.tgz                   compiled TypeScript, and the sources for those who compile
//   mactok-<platform>-<arch>-<version>.tgz the prebuilt addon for the platform that runs this
// The first names the second of every platform as an optional dependency, so that npm installs the one that fits.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure, run, say } from '../lib/setup/report.mjs'

const MOST_BYTES = 10e6
/** Platforms with a package of their own. */
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-arm64']

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, '.build', 'packages')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

run(() => {
  rmSync(out, { recursive: true, force: true })
  const platform = `${process.platform}-${process.arch}`
  if (!PLATFORMS.includes(platform)) throw new Failure(`There is no package for ${platform}`)
  for (const tarball of [packPlatform(platform), packMain()]) {
    const { size } = statSync(tarball)
    say(`${tarball}: ${(size / 1e6).toFixed(2)} MB`)
    if (size > MOST_BYTES) throw new Failure(`${tarball} is larger than ${MOST_BYTES / 1e6} MB`)
  }
})

/**
 * The prebuilt addon, compiled by prebuildify through binding.gyp.
 * @param {string} platform
 */
function packPlatform(platform) {
  const stage = join(out, platform)
  mkdirSync(stage, { recursive: true })
  // The headers of this Node, which node-gyp would fetch, although binding.gyp compiles nothing itself.
  const headers = dirname(dirname(process.execPath))
  /** @type {Record<string, string>} */
  const nodedir = existsSync(join(headers, 'include', 'node')) ? { npm_config_nodedir: headers } : {}
  execute('npx', ['prebuildify', '--napi', '--strip', '--out', stage], { cwd: root, environment: nodedir })
  const [os, cpu] = platform.split('-')
  const { version, license, engines } = manifest
  writeFileSync(
    join(stage, 'package.json'),
    JSON.stringify(
      {
        ...{ name: `@mactok/${platform}`, version, license, engines },
        description: `The native addon of mactok for ${platform}`,
        os: [os],
        cpu: [cpu],
        ...(os === 'linux' && { libc: ['glibc'] }),
        files: ['prebuilds'],
        preferUnplugged: true
      },
      null,
      2
    )
  )
  writeFileSync(join(stage, 'README.md'), `The native addon of mactok for ${platform}; mactok installs it.\n`)
  cpSync(join(root, 'LICENSE'), join(stage, 'LICENSE'))
  return pack(stage)
}

function packMain() {
  const stage = join(out, 'mactok')
  const [{ files }] = JSON.parse(execute('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root }))
  for (const { path } of files) cpSync(join(root, path), join(stage, path))
  const { version, devDependencies: _, scripts: __, ...published } = manifest
  const optionalDependencies = Object.fromEntries(PLATFORMS.map((platform) => [`@mactok/${platform}`, version]))
  writeFileSync(
    join(stage, 'package.json'),
    `${JSON.stringify({ ...published, version, optionalDependencies }, null, 2)}\n`
  )
  return pack(stage)
}

/** @param {string} folder */
function pack(folder) {
  execute('npm', ['pack', '--pack-destination', out, '--ignore-scripts', '--silent'], { cwd: folder })
  const packed = readdirSync(out).filter((name) => name.endsWith('.tgz'))
  const newest = packed.sort((a, b) => statSync(join(out, b)).mtimeMs - statSync(join(out, a)).mtimeMs)[0]
  return join(out, newest)
}

/**
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd: string, environment?: Record<string, string> }} options
 */
function execute(program, args, { cwd, environment = {} }) {
  const done = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 2],
    shell: process.platform === 'win32'
  })
  if (done.status !== 0) throw new Failure(`${program} ${args.join(' ')} failed; see its message above`)
  return done.stdout
}
