/** Runs the fuzzed parsers one after another; one that crashes, or that takes 20 s for an input, is reported with the input's number. */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('fuzz-parser.mjs', import.meta.url))
const longest = 20_000

/**
 * @param {string} place
 * @param {string} parser
 * @param {{ inputs: number, seed: number }} options
 * @returns {Promise<object>}
 */
export function fuzz(place, parser, { inputs, seed }) {
  const child = spawn(process.execPath, ['--expose-gc', script, place, parser, String(inputs), String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let tail = ''
  const stop = () => child.kill('SIGKILL')
  let timer = setTimeout(stop, 60_000)
  child.stdout.on('data', (text) => {
    tail = (tail + text).slice(-8000)
    clearTimeout(timer)
    timer = setTimeout(stop, longest)
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      const line = tail.trim().split('\n').at(-1) ?? ''
      if (code === 0) resolve(JSON.parse(line))
      else resolve({ failed: signal === 'SIGKILL' ? 'hang' : `crash (${signal ?? code})`, input: Number(line), seed })
    })
  })
}
