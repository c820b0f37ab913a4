import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { ProgressLine } from '../../lib/cli/progress.js'

let written: string[]
let seconds = 0
beforeEach(() => {
  written = []
  jest.useFakeTimers()
  // The fake clock begins at 0 again; the last line of an earlier test is long ago.
  seconds += 1000
  jest.advanceTimersByTime(seconds * 1000)
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
})
afterEach(() => {
  jest.restoreAllMocks()
  jest.useRealTimers()
})

const update = (line: ProgressLine, done: number) => line.update({ done, total: 100, rate: 2, secondsLeft: 1 })
const counts = () => written.map((text) => text.split('/')[0])

test('without a terminal, writes one line every ten seconds and the last state', () => {
  const line = new ProgressLine({ unit: 'images' })
  for (let done = 1; done <= 100; done++) {
    update(line, done)
    jest.advanceTimersByTime(500)
  }
  expect(counts()).toEqual(['1', '21', '41', '61', '81'])
  line.stop()
  line.stop()
  expect(counts()).toEqual(['1', '21', '41', '61', '81', '100'])
})

test('escape sequences in the names of files do not reach the terminal', () => {
  new ProgressLine({ unit: 'images' }).noteSkipped({ name: 'a\x1b[2J\r\x9bb.png', reason: 'é, 日本' })
  expect(written).toEqual(['skipped a\\x1b[2J\\x0d\\x9bb.png: é, 日本\n'])
})

test('the displays of one command share the ten seconds', () => {
  for (const done of [1, 2, 3]) update(new ProgressLine({ unit: 'images' }), done)
  expect(counts()).toEqual(['1'])
})
