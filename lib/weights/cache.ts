import os from 'node:os'
import path from 'node:path'

/**
 * The folder that MacTok keeps fetched and imported files in: `MACTOK_CACHE`, else `mactok` in the system's cache folder
 * (`XDG_CACHE_HOME` or `~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`). It may not exist yet.
 */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.MACTOK_CACHE) return path.resolve(env.MACTOK_CACHE)
  if (env.XDG_CACHE_HOME) return path.join(env.XDG_CACHE_HOME, 'mactok')
  if (process.platform === 'darwin') return path.join(os.homedir(), 'Library', 'Caches', 'mactok')
  if (process.platform === 'win32' && env.LOCALAPPDATA) return path.join(env.LOCALAPPDATA, 'mactok', 'cache')
  return path.join(os.homedir(), '.cache', 'mactok')
}
