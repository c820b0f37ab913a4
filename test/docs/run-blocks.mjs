// Runs jobs one after another in one process, so that LibTorch is loaded once: commands of mactok, and modules. The first argument is the
// file of the jobs; to it goes how each one ended.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { kebabFlags } from '../../dist/cli/options.js'
import { createProgram } from '../../dist/cli/program.js'
import { Generator, Tokenizer, tensor } from '../../dist/index.js'

/** @typedef {{ words?: string[], module?: string, error?: string, seconds?: number }} Job */

const [, , file = ''] = process.argv
/** @type {Job[]} */
const jobs = JSON.parse(readFileSync(file, 'utf8'))

// What blocks use without making it, as given.d.ts says.
Object.defineProperties(globalThis, {
  images: { get: () => tensor(new Uint8Array(2 * 64 * 64 * 3), [2, 64, 64, 3]) },
  show: { value: () => {} }
})

/** @param {Job} job */
async function run({ words, module }) {
  if (module !== undefined) {
    Object.assign(globalThis, {
      tokenizer: await Tokenizer.load('runs/tiny'),
      generator: await Generator.load('runs/sit')
    })
    process.chdir('programs')
    await import(pathToFileURL(module).href).finally(() => process.chdir('..'))
  }
  if (words === undefined) return
  removeEarlier(words)
  if (words[0] === 'ui') process.on('newListener', interrupt)
  process.exitCode = 0
  await createProgram()
    .parseAsync(kebabFlags(words), { from: 'user' })
    .catch((error) => {
      if (error.constructor.name !== 'Interrupted') throw error
    })
  if (process.exitCode !== 0) throw new Error(`exit code ${process.exitCode}`)
}

/**
 * Ends a command that serves a page, as soon as it listens to Ctrl-C.
 * @param {string | symbol} name
 */
function interrupt(name) {
  if (name !== 'SIGINT') return
  process.off('newListener', interrupt)
  setImmediate(() => process.emit('SIGINT'))
}

/**
 * A command begins with an empty folder, where one of an earlier page wrote to it.
 * @param {string[]} words
 */
function removeEarlier(words) {
  const out = words.includes('--out') ? words[words.indexOf('--out') + 1] : undefined
  const goesOn = ['--resume', '--verify', '--append', '--repair'].some((flag) => words.includes(flag))
  if (out === undefined || goesOn || !existsSync(out)) return
  // Of latents, only the folder itself: there may be others inside it.
  if (words[0] !== 'encode') rmSync(out, { recursive: true })
  else
    for (const { name } of readdirSync(out, { withFileTypes: true }).filter((entry) => entry.isFile()))
      rmSync(join(out, name))
}

for (const job of jobs) {
  const start = performance.now()
  await run(job).catch((error) => {
    job.error = String(error.stack ?? error)
  })
  job.seconds = (performance.now() - start) / 1000
}
writeFileSync(file, JSON.stringify(jobs))
process.exit(0)
