import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { resolveDevice } from '../../lib/native/device.js'
import { addon } from '../../lib/native/load.js'

/** Makes this machine look as if it had these GPUs. */
function pretend({ cuda = 0, mps = false }: { cuda?: number; mps?: boolean }): void {
  const info = addon().info()
  jest.spyOn(addon(), 'info').mockReturnValue({
    ...info,
    cuda: { ...info.cuda, devices: cuda, reason: cuda > 0 ? '' : 'no driver' },
    mps: { available: mps, reason: mps ? '' : 'only macOS has it' }
  })
}
afterEach(() => {
  jest.restoreAllMocks()
})

describe('a device is named as its tensors name it', () => {
  test.each([
    ['cpu', 'cpu'],
    ['auto', 'cpu'],
    ['mps', 'mps:0'],
    ['mps:0', 'mps:0']
  ])("%s beside Apple's GPU is %s", (name, resolved) => {
    pretend({ mps: true })
    expect(resolveDevice(name)).toBe(resolved)
  })

  test.each([
    ['auto', 0, 'cuda:0'],
    ['cuda', 1, 'cuda:1'],
    ['cuda:0', 1, 'cuda:0']
  ])('%s of rank %i on a machine with two CUDA devices is %s', (name, rank, resolved) => {
    pretend({ cuda: 2 })
    expect(resolveDevice(name, rank)).toBe(resolved)
  })
})

test.each(['mps:1', 'mps:', 'mps0', 'cuda:', 'gpu'])('%s is no device', (name) => {
  pretend({ mps: true, cuda: 1 })
  expect(() => resolveDevice(name)).toThrow(
    new TypeError(`Expected auto, cpu, cuda, cuda:<index> or mps for device but received '${name}' of type string`)
  )
})

test('a missing device is refused with the reason', () => {
  pretend({})
  expect(() => resolveDevice('mps:0')).toThrow(new RangeError('Device mps is not available: only macOS has it'))
  expect(() => resolveDevice('cuda')).toThrow(new RangeError('Device cuda is not available: no driver'))
  pretend({ cuda: 2 })
  expect(() => resolveDevice('cuda:2')).toThrow("Expected cuda:0 to cuda:1 for device but received 'cuda:2'")
})
