// Installs the npm dependencies as package-lock.json says, unless they are there.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, say } from '../lib/setup/report.mjs'

/** @param {string} root */
export function installDependencies(root) {
  if (areInstalled(root)) return
  say('installing npm dependencies')
  // Not `npm ci`: it refuses a lock file without other platforms' binaries, which some registry mirrors lack. The lock file's
  // versions apply all the same. Install scripts are not needed: native packages ship binaries, and the set-up builds the addon.
  // With NODE_ENV=production npm would leave out what compiles and tests.
  const options = ['--include=dev', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error']
  const done = spawnSync('npm', ['install', ...options], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32'
  })
  if (done.status === 0) return
  throw new Failure('npm install failed; see its message above', [
    'check the network and the disk, then run the same command again'
  ])
}

/**
 * Whether npm's own record of what it installed agrees with the lock file.
 * @param {string} root
 */
function areInstalled(root) {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return false
  const installed = packagesOf(record)
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(([path, { version, optional }]) => {
    if (path === '') return true
    return installed[path] ? installed[path].version === version : optional === true
  })
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages
