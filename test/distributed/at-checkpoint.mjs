// Loaded by all processes of a job before they train: when rank 0 has written the first checkpoint, it sends itself SIGKILL, or, with
// SIGNALLED, sends its launcher SIGTERM and waits until rank 1, which creates that file, has it too.
import { existsSync, writeFileSync } from 'node:fs'

const { RANK, SIGNALLED, TORCHELASTIC_RESTART_COUNT } = process.env

function atCheckpoint() {
  if (!SIGNALLED) return process.kill(process.pid, 'SIGKILL')
  process.kill(process.ppid, 'SIGTERM')
  // Nothing goes on without this rank, nor in it: it does not even return to its event loop.
  const never = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < 1200 && !existsSync(SIGNALLED); tries++) Atomics.wait(never, 0, 0, 50)
}

if (RANK === '0' && TORCHELASTIC_RESTART_COUNT === '0') {
  const write = process.stdout.write.bind(process.stdout)
  let isOver = false
  process.stdout.write = (/** @type {string} */ text, /** @type {any[]} */ ...more) => {
    const result = write(text, ...more)
    if (!isOver && text.includes('"event":"checkpoint"')) {
      isOver = true
      atCheckpoint()
    }
    return result
  }
}
if (RANK === '1' && SIGNALLED) process.once('SIGTERM', () => writeFileSync(SIGNALLED, ''))
