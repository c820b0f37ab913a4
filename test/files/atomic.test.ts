import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, test } from '@jest/globals'
import { writePng } from '../../lib/data/image.js'
import { writeAtomically, writeFully, writeText } from '../../lib/files/atomic.js'
import { NpzWriter } from '../../lib/files/npz-writer.js'
import { gradient, Workplace } from '../support/images.js'
import { testWhere } from '../support/paths.js'

const work = new Workplace()
const testOnUnix = testWhere(process.platform !== 'win32', 'device files and modes, which Windows lacks')

test('a file whose writing fails stays as it was, and nothing is left beside it', async () => {
  const file = await work.write('failed/a.txt', 'before')
  const failing = writeAtomically(file, async (handle) => {
    await writeFully(handle, Buffer.from('half'))
    throw new Error('no space left')
  })
  await expect(failing).rejects.toThrow('no space left')
  expect(readFileSync(file, 'utf8')).toBe('before')
  expect(readdirSync(dirname(file))).toEqual(['a.txt'])
})

testOnUnix("files and folders have the mode of the process's umask, while they are written, too", async () => {
  const umask = process.umask(0o077)
  try {
    const file = work.path('private/deep/a.txt')
    await writeAtomically(file, async (handle) => {
      expect((await handle.stat()).mode & 0o777).toBe(0o600)
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700)
  } finally {
    process.umask(umask)
  }
})

test("a file is synced with Yarn's Plug'n'Play, whose handles have no sync", async () => {
  const file = work.path('plug.txt')
  await writeAtomically(file, async (handle) => {
    handle.sync = () => Promise.reject(new Error('Method not implemented.'))
    await writeFully(handle, Buffer.from('whole'))
  })
  expect(readFileSync(file, 'utf8')).toBe('whole')
})

test('an error of the system names the file', async () => {
  const file = work.path('full.txt')
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' })
  await expect(writeAtomically(file, () => Promise.reject(full))).rejects.toThrow(
    `ENOSPC: no space left on device, write '${file}'`
  )
})

test('a link stays a link, and the file that it leads to is replaced', async () => {
  const file = await work.write('linked/real.txt', 'before')
  const link = work.path('linked/link.txt')
  symlinkSync(file, link)
  await writeText(link, 'after')
  expect(lstatSync(link).isSymbolicLink()).toBe(true)
  expect(readFileSync(file, 'utf8')).toBe('after')
})

test('names of 255 bytes are written', async () => {
  const file = work.path(`long/${'n'.repeat(251)}.txt`)
  await writeText(file, 'long')
  expect(readFileSync(file, 'utf8')).toBe('long')
})

testOnUnix('a device is written to, never replaced; an archive is refused there', async () => {
  const link = work.path('null')
  symlinkSync('/dev/null', link)
  for (const file of ['/dev/null', link]) {
    await writePng(file, gradient(4, 4))
    await writeText(file, 'text')
    await expect(NpzWriter.create(file, 1, 4, 4)).rejects.toThrow(`${file} is not a regular file`)
    expect(statSync(file).isCharacterDevice()).toBe(true)
  }
  expect(readdirSync('/dev').filter((name) => name.endsWith('.tmp'))).toEqual([])
})

const testAsUser = testWhere(process.getuid?.() !== 0, 'permissions, which root is not subject to')

testAsUser('a folder that cannot be written is named, with the reason', async () => {
  const folder = dirname(await work.write('locked/a.txt', ''))
  chmodSync(folder, 0o555)
  for (const file of [`${folder}/b.txt`, `${folder}/deeper/b.txt`]) {
    await expect(writeText(file, 'text')).rejects.toMatchObject({
      code: 'ERR_FORMAT',
      message: expect.stringMatching(/^Cannot write the folder .*locked(\/deeper)?: permission denied/)
    })
  }
})

test('a place that cannot be written is named, with the reason', async () => {
  const file = await work.write('place/a.txt', '')
  await expect(writeText(`${file}/b.txt`, 'text')).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: `Cannot write the folder ${file}: it is a file`
  })
  await expect(writeText(dirname(file), 'text')).rejects.toMatchObject({
    code: 'ERR_FORMAT',
    message: `Cannot write ${dirname(file)}: it is a folder`
  })
  expect(readdirSync(dirname(file))).toEqual(['a.txt'])
})
