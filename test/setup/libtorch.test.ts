import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { libTorchVersion, PINNED_VERSION, whyNotLibTorch } from '../../lib/native/libtorch.mjs'
import { fetchCudaHeaders, findLibTorch, isWanted, requireDisk } from '../../lib/setup/libtorch.mjs'
import { withFetchLock } from '../../lib/setup/lock.mjs'
import { freshFolder } from './fresh-folder.js'
import { serve } from './server.js'

let folder: string

freshFolder((fresh) => {
  folder = fresh
})

describe('LibTorch', () => {
  test('a LIBTORCH that is none is refused with the ways out', async () => {
    process.env.LIBTORCH = folder
    await expect(findLibTorch()).rejects.toThrow(/which is no LibTorch: has no lib.*\n {2}- name the folder/)
    process.env.LIBTORCH = join(folder, 'nothing')
    await expect(findLibTorch()).rejects.toThrow('no such folder')
  })

  test('too little disk is told with the ways out', async () => {
    await requireDisk(folder, 1)
    await expect(requireDisk(folder, 1e18)).rejects.toThrow(
      /LibTorch needs 1000000000.0 GB of disk, but .* has [\d.]+ GB\n {2}- free some, or set MACTOK_CACHE/
    )
  })

  test('once a wheel could not be downloaded by Node, as behind a proxy, pip downloads all, and again what it left cut off', async () => {
    await using server = await serve((_, response) => response.writeHead(403).end())
    // Wheels whose content is their name.
    const wheels = ['one', 'two'].map((name) => {
      const sha256 = createHash('sha256').update(name).digest('hex')
      return { name, version: '1', file: `${name}.whl`, sha256 }
    })
    const install = wheels.map(({ name, version, sha256 }) => ({
      metadata: { name, version },
      download_info: { url: server.url, archive_info: { hashes: { sha256 } } }
    }))
    writeFileSync(join(folder, 'report.json'), JSON.stringify({ install }))
    writeFileSync(join(folder, 'two.whl'), 'tw')
    const pip = `#!/bin/sh
      case "$*" in
        *--version) echo 'pip 24.0 from here' ;;
        *' install '*) cat '${folder}/report.json' ;;
        *one==1) printf one >'${folder}/one.whl' ;;
        *two==1) printf two >'${folder}/two.whl' ;;
      esac`
    writeFileSync(join(folder, 'python3'), pip, { mode: 0o755 })
    const script = `
      import { getWheels } from '${new URL('../../lib/setup/libtorch.mjs', import.meta.url)}'
      await getWheels(${JSON.stringify(wheels)}, ${JSON.stringify(folder)}, 'linux-x64')`
    const env = { ...process.env, PATH: folder + delimiter + process.env.PATH }
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })
    expect(wheels.map(({ file }) => readFileSync(join(folder, file), 'utf8'))).toEqual(['one', 'two'])
    expect(server.ranges).toHaveLength(1)
  })

  test("CUDA's headers that another process fetched meanwhile are not fetched again", async () => {
    process.env.MACTOK_CACHE = folder
    let headers: Promise<string> | undefined
    const nvidia = join(folder, `cuda-headers-${PINNED_VERSION}`, 'nvidia')
    await withFetchLock(async () => {
      headers = fetchCudaHeaders()
      for (const name of ['cu13', 'nccl']) mkdirSync(join(nvidia, name, 'include'), { recursive: true })
      writeFileSync(join(nvidia, 'cu13', 'include', 'cuda.h'), 'of the other')
    })
    expect(readFileSync(join((await headers) as string, 'cuda.h'), 'utf8')).toBe('of the other')
  })

  test('versions are read from headers, from Python, and from a plain LibTorch', () => {
    expect(libTorchVersion(folder)).toBeUndefined()
    writeFileSync(join(folder, 'build-version'), '2.13.1+cpu\n')
    expect(libTorchVersion(folder)).toBe('2.13.1')
    writeFileSync(join(folder, 'version.py'), "from typing import Optional\n__version__ = '2.14.0+cu132'\n")
    expect(libTorchVersion(folder)).toBe('2.14.0')
    mkdirSync(join(folder, 'include/torch/headeronly'), { recursive: true })
    const header = ['MAJOR 2', 'MINOR 15', 'PATCH 0'].map((line) => `#define TORCH_VERSION_${line}\n`).join('')
    writeFileSync(join(folder, 'include/torch/headeronly/version.h'), header)
    expect(libTorchVersion(folder)).toBe('2.15.0')
    expect(whyNotLibTorch(folder)).toMatch(/has no lib/)
  })

  test.each([
    ['torch/lib/libtorch_cpu.so', true],
    ['torch/lib/libgomp.so.1', true],
    ['torch/include/ATen/ATen.h', true],
    ['torch/version.py', true],
    ['torch-2.15.0.dist-info/licenses/LICENSE', true],
    ['nvidia/cu13/lib/libcudart.so.13', true],
    ['nvidia/cu13/include/cuda.h', false],
    ['torch/lib/libtorch_cuda.so', false],
    ['torch/lib/libtorch_python.so', false],
    ['torch/nn/functional.py', false]
  ])('%s is unpacked without an NVIDIA driver: %s', (name, wanted) => {
    process.env.MACTOK_CUDA = '0'
    expect(isWanted(name)).toBe(wanted)
    process.env.MACTOK_CUDA = '1'
    expect(isWanted('torch/lib/libtorch_cuda.so')).toBe(true)
  })
})
