// Runs the packed commands, as many at a time as there are cores. What is there already is not made again, so that a build that was
// interrupted goes on: node offline/compile.mjs <libtorch> <CUDA's headers or ''>
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { libTorchVersion } from '../lib/native/libtorch.mjs'
import { headersVersion } from '../lib/setup/cuda-headers.mjs'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { requireCompiler } from '../lib/setup/tools.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const [libtorch, cudaInclude] = process.argv.slice(2)
const compiler = process.env.CXX ?? 'c++'

await run(async () => {
  requireCompiler()
  /** @type {import('./commands.mjs').Build} */
  const build = JSON.parse(readFileSync(join(root, 'offline', 'commands.json'), 'utf8'))
  const version = String(libTorchVersion(libtorch))
  const compilerVersion = spawnSync(compiler, ['--version'], { encoding: 'utf8' }).stdout
  const print = createHash('sha256').update([libtorch, version, cudaInclude, compilerVersion].join('\n'))
  // Another archive may be unpacked over this one.
  for (const file of sources()) print.update(`\n${file}\n`).update(readFileSync(join(root, file)))
  const tree = join(root, '.build', print.digest('hex').slice(0, 12))
  const values = {
    ROOT: root,
    TREE: tree,
    LIBTORCH: libtorch,
    LIBTORCH_VERSION: version,
    CUDA_INCLUDE: cudaInclude,
    CUDA: String((cudaInclude && headersVersion(cudaInclude)) || 0),
    CXX: compiler
  }
  /** @param {string} text */
  const concrete = (text) =>
    Object.entries(values).reduce((result, [name, value]) => result.replaceAll(`@${name}@`, value), text)
  // libmactok_cuda, and the empty libraries that it is linked with.
  const isForCuda = (/** @type {string} */ command) =>
    /@ROOT@\/native\/cuda\/|Release\/libmactok_cuda|@TREE@\/stand_in\.cpp| stand_in\/lib/.test(command)
  const isWanted = (/** @type {string} */ command) => cudaInclude || !isForCuda(command)

  for (const [name, content] of Object.entries(build.files)) {
    const file = join(tree, name)
    mkdirSync(dirname(file), { recursive: true })
    // Unchanged files keep their time, which a precompiled header depends on.
    if (!existsSync(file)) writeFileSync(file, concrete(content))
  }
  const [first, compile, link] = [build.first, build.compile, build.link].map((commands) =>
    commands.filter(isWanted).map(concrete)
  )
  say(`compiling ${compile.length} files with ${compiler} against LibTorch ${version} in ${libtorch}`)
  await all(first, tree)
  await all(compile, tree)
  for (const command of link) await all([command], tree)
  const out = join(root, 'build', 'Release')
  mkdirSync(out, { recursive: true })
  for (const name of readdirSync(join(tree, 'Release'))) copyFileSync(join(tree, 'Release', name), join(out, name))
})

/** What is built, and how. */
function sources() {
  const native = readdirSync(join(root, 'native'), { recursive: true, encoding: 'utf8' }).map((name) => join('native', name))
  return [join('offline', 'commands.json'), ...native.filter((name) => statSync(join(root, name)).isFile()).sort()]
}

/** @param {string[]} commands @param {string} tree */
async function all(commands, tree) {
  const left = commands.filter((command) => !existsSync(join(tree, outputOf(command) ?? 'none')))
  let done = 0
  const total = left.length
  async function work() {
    for (let command = left.shift(); command; command = left.shift()) {
      await execute(command, tree)
      done++
      if (done % 10 === 0) say(`${done} of ${total}`)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
}

/** @param {string} command */
function outputOf(command) {
  return command.match(/ -o (\S+)/)?.[1]
}

/** The output appears under its name once it is complete. @param {string} command @param {string} tree @returns {Promise<void>} */
function execute(command, tree) {
  const output = outputOf(command)
  if (output) mkdirSync(dirname(join(tree, output)), { recursive: true })
  const partial = output && `${output}.part`
  return new Promise((done, failed) => {
    const child = spawn('sh', ['-c', output ? command.replace(` -o ${output}`, ` -o ${partial}`) : command], {
      cwd: tree,
      stdio: ['ignore', 2, 2]
    })
    child.on('error', failed).on('close', (code) => {
      if (code !== 0) return failed(new Failure(`A command of the build fails:\n${command}`))
      if (output) renameSync(join(tree, `${partial}`), join(tree, output))
      done()
    })
  })
}
