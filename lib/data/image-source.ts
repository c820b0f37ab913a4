import { readdir, stat } from 'node:fs/promises'
import { invalidParameter, MactokError } from '../errors.js'
import { expandBraces } from './braces.js'
import { imageFolder } from './image-folder.js'
import type { ImageSource } from './image-set.js'
import { webDataset } from './web-dataset.js'

/** What lies at `path`: a tar, a folder of tars or a pattern of tars is a `webDataset`, every other folder an `imageFolder`. */
export function imageSource(path: string): ImageSource {
  if (typeof path !== 'string' || path === '')
    throw invalidParameter('path', 'a folder, a tar or a pattern of tars', path)
  return { name: path, open: async () => (await kind(path))(path).open() }
}

async function kind(path: string): Promise<(path: string) => ImageSource> {
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory())
    return (await readdir(path)).some((name) => name.endsWith('.tar')) ? webDataset : imageFolder
  if (found || expandBraces(path).length > 1) return webDataset
  throw new MactokError('ERR_FORMAT', `There is neither a folder nor a tar at ${path}`)
}
