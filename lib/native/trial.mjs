// Loads a binary in a process of its own before the first time it is loaded here, so that a crash there becomes a message.
// Plain JavaScript, because the process runs this very file.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder } from '../files/cache.mjs'

/** @typedef {{ bootstrap: string, libraries: string[], addon: string }} Trial what is opened, in this order */

const script = fileURLToPath(import.meta.url)

/** Electron's own binary runs as Node where ELECTRON_RUN_AS_NODE is set; that of a packaged app may start the app again instead. */
const isPackagedApp = () => 'electron' in process.versions && !/^electron\b/i.test(basename(process.execPath))

/**
 * The signal that ended a process which loaded these files; undefined when none did. The files are tried once, and again when they change.
 * Errors, such as a missing file, are no crashes: loading meets them again, with more to say.
 * @param {Trial} trial
 * @returns {NodeJS.Signals | undefined}
 */
export function findCrash(trial) {
  // Whatever a trial starts makes no trial of its own.
  if (isPackagedApp() || process.env.MACTOK_TRIAL) return undefined
  if (!filesOf(trial).every((path) => existsSync(path))) return undefined
  const passed = join(cacheFolder(), 'trials', keyOf(trial))
  if (existsSync(passed)) return undefined
  const env = { ...process.env, MACTOK_TRIAL: '1', ELECTRON_RUN_AS_NODE: '1', NODE_OPTIONS: '' }
  const { signal } = spawnSync(process.execPath, [script, JSON.stringify(trial)], {
    env,
    stdio: 'ignore',
    timeout: 60_000
  })
  // A slow machine is no crash either.
  if (signal && signal !== 'SIGTERM') return signal
  try {
    mkdirSync(join(passed, '..'), { recursive: true })
    writeFileSync(passed, '')
  } catch {
    // A cache that cannot be written is no reason not to load.
  }
  return undefined
}

/** @param {Trial} trial */
const filesOf = ({ bootstrap, libraries, addon }) => [bootstrap, ...libraries, addon]

/** @param {Trial} trial */
function keyOf(trial) {
  const hash = createHash('sha256').update(`${process.versions.node} ${process.arch}`)
  for (const path of filesOf(trial)) {
    const { size, mtimeMs } = statSync(path)
    hash.update(`\n${path} ${size} ${mtimeMs}`)
  }
  return hash.digest('hex').slice(0, 16)
}

if (process.argv[1] === script && process.argv[2]) {
  const { bootstrap, libraries, addon } = JSON.parse(process.argv[2])
  const { open } = createRequire(script)(bootstrap)
  for (const path of [...libraries, addon]) open(path)
  process.dlopen({ exports: {} }, addon)
}
