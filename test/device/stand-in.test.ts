import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { device, floats, native } from '../support/native.js'
import { countOnDevice, describeOnStandIn, launches } from '../support/stand-in.js'

const ones = (count = 4) => native().tensor(new Float32Array(count).fill(1), 'float32', [count], device)

describeOnStandIn('the stand-in device catches a planted fault', () => {
  test.each([
    ['host and device mixed', /on the same device, but found .*cuda:\d and cpu/],
    ['two devices mixed', /on the same device, but found .*cuda:\d and cuda:\d/]
  ])('%s', async (fault, message) => {
    await expect(native().plantFault(fault, device)).rejects.toThrow(message)
  })

  test.each([
    ['use after free', /uses memory that was freed/],
    ['use after free in a graph', /in a graph uses memory that was freed since it was recorded/],
    ['wait while recording', /not permitted when stream is capturing: aten::_local_scalar_dense/],
    ['read without order', /stream \d+ uses memory that stream \d+ still writes/],
    ['reuse too early', /stream \d+ reuses memory that stream \d+ still reads/]
  ])('%s', async (fault, message) => {
    await expect(native().plantFault(fault, device)).rejects.toThrow(message)
    expect(native().deviceFaults()).toEqual([expect.stringMatching(message)])
  })

  test.each(['read in order', 'reuse after record_stream'])('but not what is right: %s', async (right) => {
    await native().plantFault(right, device)
    expect(native().deviceFaults()).toEqual([])
  })

  test('a host that reads device memory', () => {
    // It ends the process, so that another one has to do it.
    const load = new URL('../../dist/native/load.js', import.meta.url)
    const script = `import { addon } from '${load}'; await addon().plantFault('host read', '${device}')`
    const done = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      encoding: 'utf8',
      env: { ...process.env, MACTOK_ADDON: 'mactok_testing' },
      cwd: fileURLToPath(new URL('../..', import.meta.url))
    })
    expect(done.signal).toBe('SIGSEGV')
    expect(done.stderr).toContain('the host has touched device memory')
  })

  test('a host that waits for a value', async () => {
    const { synchronizations } = await countOnDevice(() => native().plantFault('wait for a value', device))
    expect(synchronizations).toEqual({ 'aten::_local_scalar_dense': 1 })
  })

  test('an allocation that fails, once', async () => {
    const tensor = ones()
    native().failAllocation(1)
    await expect(tensor.to(device, 'float64')).rejects.toThrow(
      /CUDA out of memory. Tried to allocate 512 bytes. GPU \d .* is free/
    )
    expect(Array.from(await floats(await tensor.to(device, 'float32')))).toEqual([1, 1, 1, 1])
  })

  test('an asynchronous error: where the host waits, and ever after', async () => {
    const tensor = ones()
    native().failOperation(1)
    const converted = await tensor.to(device, 'float64')
    await expect(converted.read()).rejects.toThrow(/CUDA error/)
    await expect(tensor.to(device, 'float64')).rejects.toThrow(/CUDA error/)
    native().recoverDevice()
    expect(Array.from(await floats(tensor))).toEqual([1, 1, 1, 1])
  })

  test('a host that runs ahead without end', async () => {
    await ones().read()
    const without = await countOnDevice(() => native().plantFault('launches without end', device))
    expect(without.runAhead).toBeGreaterThanOrEqual(5000)
    await ones().read()
    const bounded = await countOnDevice(() => native().plantFault('launches with waits', device))
    expect(launches(bounded)).toBeGreaterThanOrEqual(5000)
    expect(bounded.runAhead).toBeLessThan(250)
    expect(bounded.waits).toBeGreaterThan(40)
    expect(bounded.synchronizations).toEqual({})
  })
})

describe('tests of the stand-in device', () => {
  test('say how to run them where it is not loaded', () => {
    if (process.env.MACTOK_CUDA_LIBRARY) return
    expect(() => native().deviceCounts()).toThrow('npm run test:device')
  })
})
