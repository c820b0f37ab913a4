// Plain JavaScript, because the set-up needs it before TypeScript is compiled.
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/**
 * The folder of downloaded and imported files: `MACTOK_CACHE`, else `mactok` in the user's cache folder
 * (`XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`). It may not exist yet.
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cacheFolder(env = process.env) {
  if (typeof env !== 'object' || env === null)
    throw new TypeError(`Expected an object of texts for env but received ${String(env)}`)
  for (const name of ['MACTOK_CACHE', 'XDG_CACHE_HOME', 'LOCALAPPDATA']) {
    if (env[name] !== undefined && typeof env[name] !== 'string') throw new TypeError(`Expected a text for env.${name}`)
  }
  if (env.MACTOK_CACHE) return resolve(env.MACTOK_CACHE)
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, 'mactok')
  if (process.platform === 'win32') {
    return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'mactok', 'Cache')
  }
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'mactok')
  return join(homedir(), '.cache', 'mactok')
}
