import { expect, test } from '@jest/globals'
import { native } from '../support/native.js'

test("engines that multiply by different precisions do not change each other's", () => {
  expect(native().mixedPrecisions()).toBe(0)
})
