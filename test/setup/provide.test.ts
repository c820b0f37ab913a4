import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { cachedLibTorch, libraries, PINNED_VERSION } from '../../lib/native/libtorch.mjs'
import { linkLibTorch, removeLibTorch, unpackLibTorch } from '../../lib/setup/provide.mjs'
import { freshFolder } from './fresh-folder.js'

let folder: string

freshFolder((fresh) => {
  folder = fresh
  process.env.MACTOK_CACHE = join(folder, 'cache')
  process.env.MACTOK_CUDA = '0'
  delete process.env.LIBTORCH
})

/** A folder that looks like an unpacked LibTorch. */
function fakeLibTorch(name: string, version: string = PINNED_VERSION): string {
  const path = join(folder, name)
  mkdirSync(join(path, 'lib'), { recursive: true })
  for (const library of libraries(path)) writeFileSync(library, name)
  writeFileSync(join(path, 'build-version'), `${version}\n`)
  return path
}

describe('a LibTorch that is there', () => {
  test('is linked into the cache, and removed without being touched', () => {
    const libtorch = fakeLibTorch('site-packages/torch')
    const place = linkLibTorch(libtorch)
    expect(place).toBe(cachedLibTorch(PINNED_VERSION))
    expect(realpathSync(place)).toBe(realpathSync(libtorch))
    // Another one takes its place; both stay where they are.
    linkLibTorch(fakeLibTorch('other'))
    expect(readFileSync(libraries(place)[0] as string, 'utf8')).toBe('other')
    writeFileSync(join(folder, 'cache', 'weights'), '')
    expect(removeLibTorch()).toEqual([join(folder, 'cache', `libtorch-${PINNED_VERSION}`)])
    expect(existsSync(join(folder, 'cache', 'weights'))).toBe(true)
    for (const path of [libtorch, join(folder, 'other')]) expect(libraries(path).every(existsSync)).toBe(true)
  })

  test('of another version is refused with both', () => {
    expect(() => linkLibTorch(fakeLibTorch('old', '2.13.0'))).toThrow(
      `${join(folder, 'old')} is LibTorch 2.13.0; this mactok is built for ${PINNED_VERSION}\n  - \`mactok setup\` fetches`
    )
    expect(() => linkLibTorch(join(folder, 'nothing'))).toThrow('is no LibTorch: no such folder')
  })
})

describe('files of a LibTorch', () => {
  test('the archive of pytorch.org is unpacked', async () => {
    fakeLibTorch('libtorch')
    const zipped = spawnSync('python3', ['-m', 'zipfile', '-c', 'libtorch-shared-2.15.0.zip', 'libtorch'], {
      cwd: folder
    })
    expect(zipped.status).toBe(0)
    const place = await unpackLibTorch([join(folder, 'libtorch-shared-2.15.0.zip')])
    expect(place).toBe(cachedLibTorch(PINNED_VERSION))
    expect(lstatSync(place).isDirectory()).toBe(true)
    expect(readFileSync(libraries(place)[1] as string, 'utf8')).toBe('libtorch')
  })

  test('an archive of another version leaves the cache as it was', async () => {
    linkLibTorch(fakeLibTorch('mine'))
    fakeLibTorch('libtorch', '2.12.0')
    spawnSync('python3', ['-m', 'zipfile', '-c', 'libtorch-old.zip', 'libtorch'], { cwd: folder })
    await expect(unpackLibTorch([join(folder, 'libtorch-old.zip')])).rejects.toThrow('is LibTorch 2.12.0')
    expect(readFileSync(libraries(cachedLibTorch(PINNED_VERSION))[0] as string, 'utf8')).toBe('mine')
  })

  test('missing wheels are named with the command that downloads them', async () => {
    await expect(unpackLibTorch([folder])).rejects.toThrow(
      /^Missing torch-2\.15\.0-\S+\.whl.*\n {2}- where there is a network: pip download --no-deps --dest wheels .* torch==2\.15\.0/
    )
    await expect(unpackLibTorch([join(folder, 'nothing')])).rejects.toThrow(
      `There is nothing at ${join(folder, 'nothing')}`
    )
  })

  test('a damaged wheel is refused', async () => {
    const { message } = (await unpackLibTorch([folder]).catch((error) => error)) as Error
    for (const [name] of message.matchAll(/\S+\.whl/g)) writeFileSync(join(folder, name), 'damaged')
    await expect(unpackLibTorch([folder])).rejects.toThrow(/torch-\S+\.whl has SHA-256 \w{64} instead of \w{64}/)
  })
})
