// Detects whether files changed since something was built from them, by size and time of change.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * @param {string[]} paths files and folders; absent ones count as such
 * @param {string[]} [facts] what else decides
 */
export function fingerprint(paths, facts = []) {
  const hash = createHash('sha256').update(facts.join('\n'))
  for (const path of paths) add(hash, path)
  return hash.digest('hex')
}

/**
 * @param {import('node:crypto').Hash} hash
 * @param {string} path
 */
function add(hash, path) {
  if (!existsSync(path)) return hash.update(`${path} absent\n`)
  const { size, mtimeMs } = statSync(path)
  const folder = statSync(path).isDirectory()
  hash.update(folder ? `${path}/\n` : `${path} ${size} ${mtimeMs}\n`)
  if (folder) for (const name of readdirSync(path).sort()) add(hash, join(path, name))
}

/**
 * Runs `make` unless `stamp` holds the print already; the stamp is written after it.
 * @param {string} stamp
 * @param {string} print
 * @param {() => void | Promise<void>} make
 */
export async function unlessMade(stamp, print, make) {
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === print) return
  await make()
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, print)
}
