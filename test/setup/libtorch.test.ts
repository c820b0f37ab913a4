import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { libTorchVersion, whyNotLibTorch } from '../../lib/native/libtorch.mjs'
import { findLibTorch, isWanted, requireDisk } from '../../lib/setup/libtorch.mjs'
import { freshFolder } from './fresh-folder.js'

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
