import { describe } from '@jest/globals'
import { device, native } from './native.js'
import type { DeviceCounts } from './testing-addon.js'

const loaded = device.startsWith('cuda') && process.env.MACTOK_CUDA_LIBRARY !== undefined

/** `describe` on the stand-in device (npm run test:device); elsewhere skipped, and the reason printed. */
export function describeOnStandIn(name: string, tests: () => void): void {
  if (loaded) {
    describe(name, tests)
    return
  }
  process.stderr.write(`skipped: ${name} (npm run test:device runs it)\n`)
  describe.skip(name, tests)
}

/** What `work` does on the stand-in device. */
export async function countOnDevice(work: () => Promise<unknown>): Promise<DeviceCounts> {
  native().deviceCounts()
  await work()
  return native().deviceCounts()
}

/** How many operations the host launched. */
export const launches = ({ operations }: DeviceCounts): number =>
  Object.values(operations).reduce((sum, count) => sum + count, 0)
