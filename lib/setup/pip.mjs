// What pip does for us, because it knows the user's index, mirrors and credentials.
import { spawnSync } from 'node:child_process'
import { Failure } from './report.mjs'

/** @typedef {{ command: string[], version: [major: number, minor: number] }} Pip */

const COMMANDS = [['python3', '-m', 'pip'], ['python', '-m', 'pip'], ['pip3'], ['pip']]

/** Node's name of a platform → the tags of wheels that fit it. */
const PLATFORM_TAGS = {
  'linux-x64': linuxTags('x86_64'),
  'linux-arm64': linuxTags('aarch64'),
  'darwin-arm64': ['macosx_14_0_arm64', 'macosx_13_0_arm64', 'macosx_12_0_arm64', 'macosx_11_0_arm64'],
  'win32-x64': ['win_amd64']
}

/** @typedef {keyof typeof PLATFORM_TAGS} Platform */

export const PLATFORMS = /** @type {Platform[]} */ (Object.keys(PLATFORM_TAGS))

/** @returns {Pip} */
export function findPip() {
  for (const command of COMMANDS) {
    const found = spawnSync(command[0], [...command.slice(1), '--version'], { encoding: 'utf8' })
    const version = found.status === 0 && found.stdout.match(/^pip (\d+)\.(\d+)/)
    if (version) return { command, version: [Number(version[1]), Number(version[2])] }
  }
  throw new Failure('pip, which fetches LibTorch, was not found', [
    'Debian, Ubuntu: apt-get install python3-pip; Fedora: dnf install python3-pip; macOS: brew install python; Windows: winget install Python.Python.3.12',
    'or name a LibTorch that you have: LIBTORCH=<folder>'
  ])
}

/**
 * Wheels as pip would install them, with their addresses and checksums; nothing is downloaded but metadata.
 * Undefined for a pip before 23.2, which would have to download everything first.
 * @param {Pip} pip
 * @param {Platform} platform
 * @param {string[]} requirements
 * @param {{ dependencies?: boolean }} [options]
 * @returns {{ name: string, version: string, url: string, sha256: string }[] | undefined}
 */
export function resolveWheels(pip, platform, requirements, { dependencies = false } = {}) {
  const [major, minor] = pip.version
  if (major < 23 || (major === 23 && minor < 2)) return undefined
  const options = [
    '--dry-run',
    '--ignore-installed',
    '--target',
    '.',
    '--report',
    '-',
    '--quiet',
    ...selection(platform)
  ]
  const done = spawnSync(
    pip.command[0],
    [...pip.command.slice(1), 'install', ...options, ...(dependencies ? [] : ['--no-deps']), ...requirements],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 28
    }
  )
  if (done.status !== 0) throw pipFailure(requirements, done.stderr)
  /** @type {{ install: { metadata: { name: string, version: string }, download_info: { url: string, archive_info: { hashes: { sha256: string } } } }[] }} */
  const report = JSON.parse(done.stdout)
  return report.install.map(({ metadata, download_info }) => ({
    name: metadata.name,
    version: metadata.version,
    url: download_info.url,
    sha256: download_info.archive_info.hashes.sha256
  }))
}

/**
 * Lets pip itself download wheels, with its own progress bar; it cannot resume.
 * @param {Pip} pip
 * @param {Platform} platform
 * @param {string[]} requirements
 * @param {string} folder
 */
export function downloadByPip(pip, platform, requirements, folder) {
  const options = ['download', '--no-deps', '--no-cache-dir', '--dest', folder, ...selection(platform)]
  const done = spawnSync(pip.command[0], [...pip.command.slice(1), ...options, ...requirements], {
    stdio: ['ignore', 2, 'pipe'],
    encoding: 'utf8'
  })
  if (done.status !== 0) throw pipFailure(requirements, done.stderr)
}

/**
 * The command that downloads wheels for a platform on any machine.
 * @param {Platform} platform
 * @param {string[]} requirements
 * @param {string} folder
 */
export function downloadCommand(platform, requirements, folder) {
  return ['pip', 'download', '--no-deps', '--dest', folder, ...selection(platform), ...requirements].join(' ')
}

/**
 * Installs a package for this machine into a folder of its own.
 * @param {Pip} pip
 * @param {string} requirement
 * @param {string} folder
 */
export function installByPip(pip, requirement, folder) {
  const options = ['install', '--no-deps', '--only-binary=:all:', '--quiet', '--target', folder, requirement]
  const done = spawnSync(pip.command[0], [...pip.command.slice(1), ...options], { encoding: 'utf8' })
  if (done.status !== 0) throw pipFailure([requirement], done.stderr)
}

/**
 * Names all tags, so that any pip works, whatever its Python.
 * @param {Platform} platform
 */
function selection(platform) {
  const tags = PLATFORM_TAGS[platform].flatMap((tag) => ['--platform', tag])
  const abis = ['cp312', 'abi3', 'none'].flatMap((abi) => ['--abi', abi])
  return ['--only-binary=:all:', '--implementation', 'cp', '--python-version', '3.12', ...abis, ...tags]
}

/** @param {string} machine */
function linuxTags(machine) {
  const glibc = Array.from({ length: 12 }, (_, i) => `manylinux_2_${28 - i}_${machine}`)
  return [...glibc, `manylinux2014_${machine}`, `linux_${machine}`]
}

/**
 * @param {string[]} requirements
 * @param {string} output
 */
function pipFailure(requirements, output) {
  const reason = output.split('\n').findLast((line) => /error/i.test(line)) ?? output.trim()
  return new Failure(`pip could not get ${requirements.join(', ')}: ${reason}`, [
    "check the network and pip's index (pip config list), then run the same command again",
    'for LibTorch, you can name one that you have: LIBTORCH=<folder>'
  ])
}
