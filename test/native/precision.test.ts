import { expect, test } from '@jest/globals'
import { bestPrecision, slownessOf } from '../../lib/native/device.js'
import { native } from '../support/native.js'

const info = (cpuBf16: boolean, capabilities: number[] = []) => ({ cpuBf16, cuda: { capabilities } })

test('auto is bf16 where the CPU multiplies it in hardware', () => {
  expect(bestPrecision('cpu', info(true))).toBe('bf16')
  expect(bestPrecision('cpu', info(false, [90]))).toBe('fp32')
})

test('auto is fp32 on GPUs without bf16 units, which sm_80 introduced, and bf16 on all others', () => {
  const mixed = info(false, [90, 75, 0])
  expect(bestPrecision('cuda:0', mixed)).toBe('bf16')
  expect(bestPrecision('cuda:1', mixed)).toBe('fp32')
  expect(bestPrecision('cuda', mixed)).toBe('bf16')
  // Without libmactok_cuda the capability is unknown.
  expect(bestPrecision('cuda:2', mixed)).toBe('bf16')
})

test("auto is fp32 on Apple's GPU", () => {
  expect(bestPrecision('mps', info(true, [90]))).toBe('fp32')
})

test('bf16 is said to be slow where the hardware does not multiply it', () => {
  const mixed = info(false, [90, 75])
  expect(slownessOf('bf16', 'cpu', mixed)).toContain('This CPU has no units for bfloat16')
  expect(slownessOf('bf16', 'cuda:1', mixed)).toContain('cuda:1 has no units for bfloat16')
  expect(slownessOf('fp32', 'cpu', mixed)).toBeNull()
  expect(slownessOf('bf16', 'cpu', info(true))).toBeNull()
  expect(slownessOf('bf16', 'cuda:0', mixed)).toBeNull()
  // Never measured.
  expect(slownessOf('bf16', 'mps', mixed)).toBeNull()
})

test("engines that multiply by different precisions do not change each other's", () => {
  expect(native().mixedPrecisions()).toBe(0)
})
