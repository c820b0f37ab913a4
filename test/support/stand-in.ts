import { afterEach } from '@jest/globals'
import { device, native } from './native.js'
import { describeWhere } from './paths.js'
import type { DeviceCounts } from './testing-addon.js'

const loaded = device.startsWith('cuda') && process.env.MACTOK_CUDA_LIBRARY !== undefined

/**
 * `describe` on the stand-in device (npm run test:device), which each test leaves without faults; elsewhere skipped, and
 * the reason printed.
 */
export const describeOnStandIn = (name: string, tests: () => void): void =>
  describeWhere(loaded, 'npm run test:device runs it', name, () => {
    afterEach(() => {
      native().recoverDevice()
      native().failAllocation(0)
      native().limitMemory(0)
      native().failOperation(0)
      native().deviceFaults()
    })
    tests()
  })

/** What `work` does on the stand-in device. */
export async function countOnDevice(work: () => Promise<unknown>): Promise<DeviceCounts> {
  native().deviceCounts()
  await work()
  return native().deviceCounts()
}

/** How many operations the host launched. */
export const launches = ({ operations }: DeviceCounts): number =>
  Object.values(operations).reduce((sum, count) => sum + count, 0)
