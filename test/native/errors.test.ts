import { expect, test } from '@jest/globals'
import { fromNative } from '../../lib/native/errors.js'

test('an error about memory says how much was requested, not where in the allocator it arose', () => {
  const text =
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 549755813888 bytes. Error code 12 (Cannot allocate memory)"
  expect(fromNative(Object.assign(new Error(text), { code: 'OUT_OF_MEMORY' }))).toMatchObject({
    code: 'ERR_OUT_OF_MEMORY',
    message: 'Out of memory: 512 GiB were requested at once; try a smaller batch or model'
  })
})
