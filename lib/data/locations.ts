/** Which files a path means: itself, those of a folder, of a pattern, or at addresses. */

import { readdir, stat } from 'node:fs/promises'
import { basename, join, resolve, sep } from 'node:path'
import querystring from 'node:querystring'
import { MactokError } from '../errors.js'
import { isUrl, withoutSecrets } from '../files/address.js'
import { ifPresent } from '../files/stat.js'
import { expandBraces } from './braces.js'
import { byCodePoint, isHidden } from './formats.js'

/** The name of a location's file. */
const fileNameOf = (location: string): string =>
  isUrl(location) ? querystring.unescape(basename(withoutSecrets(location))) : basename(location)

export const isTar = (location: string): boolean => /\.(tar|tar\.gz|tgz)$/i.test(withoutSecrets(location))
export const isGzip = (location: string): boolean => /\.(gz|tgz)$/i.test(withoutSecrets(location))
export const isParquet = (location: string): boolean => /\.parquet$/i.test(withoutSecrets(location))

/** Whether a path means several files, or files elsewhere. */
export const isPattern = (path: string): boolean => isUrl(path) || expandBraces(path).length > 1 || /[*?]/.test(path)

/**
 * The files that a path means: of a folder, those that `isWanted` selects, sorted by name; braces and wildcards (`*`, `?`) expanded,
 * those in the order written, these sorted by name.
 * @param kind - what they are, for messages: `.tar`
 */
export async function listLocations(
  path: string,
  isWanted: (name: string) => boolean,
  kind: string
): Promise<string[]> {
  if (isUrl(path)) return expandBraces(path)
  const found = await ifPresent(stat(path))
  if (found && !found.isDirectory()) return [path]
  if (found) {
    const names = (await readdir(path)).filter((name) => isWanted(name) && !isHidden(name))
    if (names.length === 0) throw new MactokError('ERR_FORMAT', `${path} holds no ${kind}`)
    return names.sort(byCodePoint).map((name) => join(path, name))
  }
  const files: string[] = []
  for (const each of expandBraces(path)) files.push(...(/[*?]/.test(each) ? await expandWildcards(each) : [each]))
  return files
}

/** @throws {MactokError} `ERR_FORMAT` when nothing matches */
async function expandWildcards(pattern: string): Promise<string[]> {
  let found = ['']
  for (const [index, part] of pattern.split('/').entries()) {
    if (!/[*?]/.test(part)) {
      found = found.map((folder) => (index === 0 ? part : `${folder}/${part}`))
      continue
    }
    const expression = part
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')
    const matches: string[] = []
    for (const folder of found) {
      const names = (await ifPresent(readdir(index === 0 ? '.' : folder || '/'))) ?? []
      const matching = names.filter((name) => new RegExp(`^${expression}$`, 's').test(name) && !isHidden(name))
      matches.push(...matching.sort(byCodePoint).map((name) => (index === 0 ? name : `${folder}/${name}`)))
    }
    found = matches
  }
  if (found.length === 0) throw new MactokError('ERR_FORMAT', `No file matches ${pattern}`)
  return found
}

/**
 * What names the files of a set: nothing for one, else their file names; with their folders below the common one where
 * file names are equal.
 */
export function prefixesOf(files: readonly string[]): string[] {
  if (files.length === 1) return ['']
  const names = files.map(fileNameOf)
  if (new Set(names).size === names.length) return names.map((name) => `${name}/`)
  const absolute = files.map((file) => (isUrl(file) ? withoutSecrets(file) : resolve(file)))
  const seen = new Set<string>()
  for (const [index, file] of absolute.entries()) {
    const given = files[index] as string
    if (seen.has(file)) {
      const problem =
        files.indexOf(given) === index && isUrl(given) ? 'with another query, which no name shows' : 'twice'
      throw new MactokError('ERR_FORMAT', `${withoutSecrets(given)} is listed ${problem}`)
    }
    seen.add(file)
  }
  const paths = absolute.map((file) => file.split(isUrl(file) ? '/' : sep))
  let common = 0
  while (paths.every((parts) => parts[common] === paths[0]?.[common])) common++
  return paths.map((parts) => `${parts.slice(common).join('/')}/`)
}
