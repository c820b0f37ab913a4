import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { driverVersion, whyDriverTooOld } from '../../lib/native/driver.mjs'
import { cudaVersion } from '../../lib/native/libtorch.mjs'
import { requireDriver } from '../../lib/setup/cuda.mjs'
import { cudaHeaders, headersVersion } from '../../lib/setup/cuda-headers.mjs'
import { pinnedCuda } from '../../lib/setup/libtorch.mjs'
import { freshFolder } from './fresh-folder.js'

let folder: string

freshFolder((fresh) => {
  folder = fresh
})

describe("NVIDIA's driver", () => {
  // First lines of /proc/driver/nvidia/version: of the proprietary and of the open kernel module.
  test.each([
    ['NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023', '535.129.03'],
    ['NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder)', '580.65.06']
  ])('its version is read from %s', (line, version) => {
    const file = join(folder, 'version')
    writeFileSync(file, `${line}\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n`)
    expect(driverVersion({ file, programs: [] })).toBe(version)
  })

  test('its version is what nvidia-smi prints where the kernel does not say', () => {
    const program = join(folder, 'nvidia-smi')
    writeFileSync(program, '#!/bin/sh\nprintf "570.86.10\\n570.86.10\\n"\n', { mode: 0o755 })
    expect(driverVersion({ file: join(folder, 'none'), programs: [join(folder, 'none'), program] })).toBe('570.86.10')
    writeFileSync(program, '#!/bin/sh\necho "NVIDIA-SMI has failed"; exit 9\n', { mode: 0o755 })
    expect(driverVersion({ file: join(folder, 'none'), programs: [program] })).toBeUndefined()
  })

  test('one below 580 is refused before anything is fetched, with what to do', () => {
    delete process.env.MACTOK_CUDA
    expect(pinnedCuda()).toBe(13)
    expect(() => requireDriver(13, '535.129.03')).toThrow(
      /does not run here: the NVIDIA driver is 535.129.03, but CUDA 13 needs 580 or newer\n {2}- update[\s\S]*MACTOK_CUDA=0[\s\S]*LIBTORCH=/
    )
    requireDriver(13, '580.65.06')
    requireDriver(13, undefined)
    process.env.MACTOK_CUDA = '1'
    requireDriver(13, '535.129.03')
  })

  test('CUDA 12 runs with drivers from 525 on', () => {
    expect(whyDriverTooOld(12, '535.129.03')).toBeUndefined()
    expect(whyDriverTooOld(12, '515.65.01')).toContain('525')
    expect(whyDriverTooOld(undefined, '300.0')).toBeUndefined()
  })
})

describe("CUDA's headers", () => {
  function writeHeaders(...path: string[]) {
    const include = join(folder, ...path)
    mkdirSync(join(include, 'crt'), { recursive: true })
    writeFileSync(join(include, 'cuda_runtime_api.h'), '#define CUDART_VERSION  13000\n')
    expect(headersVersion(include)).toBeUndefined()
    writeFileSync(join(include, 'crt', 'host_defines.h'), '')
    expect(headersVersion(include)).toBe(13)
    return include
  }

  function writeLibTorch(cuda: string) {
    mkdirSync(join(folder, 'torch', 'lib'), { recursive: true })
    writeFileSync(join(folder, 'torch', 'version.py'), `cuda: Optional[str] = '${cuda}'\nhip: Optional[str] = None\n`)
    return join(folder, 'torch')
  }

  test('are those beside a LibTorch that has CUDA, so that libmactok_cuda is built with it', async () => {
    delete process.env.CUDA_HOME
    delete process.env.CUDA_PATH
    process.env.MACTOK_CUDA = '1'
    const libtorch = writeLibTorch('13.0')
    expect(cudaVersion(libtorch)).toBe(13)
    const include = writeHeaders('nvidia', 'cu13', 'include')
    expect(await cudaHeaders(libtorch)).toBe(include)
    delete process.env.MACTOK_CUDA
    writeFileSync(join(libtorch, 'lib', 'libtorch_cuda.so'), '')
    expect(await cudaHeaders(libtorch)).toBe(include)
    process.env.MACTOK_CUDA = '0'
    expect(await cudaHeaders(libtorch)).toBeUndefined()
  })

  test("of another version than LibTorch's are refused, and missing only where they are required", async () => {
    process.env.CUDA_HOME = join(folder, 'toolkit')
    writeHeaders('toolkit', 'include')
    process.env.MACTOK_CUDA = '1'
    const libtorch = writeLibTorch('12.8')
    await expect(cudaHeaders(libtorch, { required: true })).rejects.toThrow(
      /No headers of CUDA 12, which .* was built with\n {2}- python3 -m pip install nvidia-cuda-runtime-cu12/
    )
    expect(await cudaHeaders(libtorch)).toBeUndefined()
  })
})
