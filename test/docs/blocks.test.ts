import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { transformSync } from '@swc/core'
import type { Command } from 'commander'
import sharp from 'sharp'
import { parse } from 'yaml'
import { kebabFlags } from '../../lib/cli/options.js'
import { createCompleteProgram } from '../../lib/cli/program.js'
import { resolveConfig } from '../../lib/training/tokenizer/presets.js'
import { describeCommands } from '../../scripts/cli-reference.mjs'
import { withoutWeights } from '../support/cli.js'
import { tar } from '../support/tars.js'
import { type Block, findBlocks, listBlocks, root } from './blocks.js'
import { readCommands } from './shell.js'
import { shrinkCommand, shrinkProgram } from './tiny.js'

const blocks = listBlocks()
/** The examples of `--help`, too, from the pages that the site shows. */
const reference = describeCommands(await createCompleteProgram()).flatMap(({ name, markdown }) =>
  findBlocks(`reference/cli/${name}.md`, markdown)
)
const shell = [...blocks, ...reference].filter(({ language }) => language === 'sh')
const programs = blocks.filter(({ language }) => language === 'ts')
const isRun = ({ language, reason }: Block) => reason === undefined && (language === 'sh' || language === 'ts')

const folder = mkdtempSync(join(tmpdir(), 'mactok-blocks-'))
/** Inside the package, which programs then import by its name. */
const modules = join(root, '.build', 'docs-blocks')
beforeAll(() => {
  mkdirSync(modules, { recursive: true })
})
afterAll(() => {
  rmSync(folder, { recursive: true })
  rmSync(modules, { recursive: true })
  const count = (what: string, some: readonly Block[]) => `${some.length} ${what}`
  const skipped = blocks.filter(({ reason }) => reason !== undefined)
  const checked = blocks.filter((block) => !isRun(block) && block.reason === undefined)
  process.stderr.write(
    `blocks of code in README and docs: ${count('run', blocks.filter(isRun))}, ${count('checked only', checked)}, ` +
      `${count('checked and not run:', skipped)}\n${skipped.map(({ place, reason }) => `  ${place}: ${reason}\n`).join('')}`
  )
})

/** A command of mactok without what starts it; undefined for other commands. */
function mactokWords(words: readonly string[]): string[] | undefined {
  const start = words[0] === 'npx' || words[0] === 'srun' ? words.indexOf('mactok') : 0
  return words[start] === 'mactok' ? words.slice(start + 1) : undefined
}

describe('commands', () => {
  let program: Command
  beforeAll(async () => {
    const disarm = (command: Command): unknown =>
      command
        .action(() => {})
        .configureOutput({ writeErr: () => {} })
        .commands.map(disarm)
    program = await createCompleteProgram()
    disarm(program)
  })
  const parseCommand = async (words: readonly string[]) => {
    const end = words.indexOf('--')
    await program.parseAsync(kebabFlags(words), { from: 'user' }).catch((error) => {
      throw new Error(`mactok ${words.join(' ')}: ${error.message}`)
    })
    if (words[0] === 'launch' && end !== -1) await parseCommand(words.slice(end + 1))
  }
  const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts
  const others: Record<string, (words: readonly string[]) => boolean> = {
    npm: ([, verb = '', name = '']) => (verb === 'run' ? name in scripts : /^(install|ci|test|audit|sbom)$/.test(verb)),
    node: ([, file = '']) => existsSync(join(root, file)),
    python3: ([, file = '']) => existsSync(join(root, file)),
    // Of the archive that `npm run pack:offline` makes.
    sh: ([, file = '']) => existsSync(join(root, 'offline', file)),
    cd: () => true,
    tar: () => true
  }

  test.each(shell)('$place names commands and options that exist', async ({ code }) => {
    const commands = readCommands(code)
    expect(commands.length).toBeGreaterThan(0)
    for (const words of commands) {
      const own = mactokWords(words)
      if (own) await parseCommand(own)
      else expect([words.join(' '), others[words[0] ?? '']?.(words)]).toEqual([words.join(' '), true])
    }
  })

  test.each(blocks.filter(({ language }) => language === 'yaml'))(
    '$place has settings that exist, or commands with options that do',
    async ({ code }) => {
      const document = parse(code)
      if ('preset' in document) return expect(resolveConfig(document)).toMatchObject({ batch: document.batch })
      const commands: string[][] = document.spec.template.spec.containers.map(
        ({ command }: { command: string[] }) => command
      )
      for (const words of commands) await parseCommand(words.slice(1))
    }
  )

  test('a wrong option would be found', async () => {
    await expect(parseCommand(['encode', 'runs/tiny', '--no-such-flag'])).rejects.toThrow('--no-such-flag')
  })
})

test('every block of TypeScript fits the types of the package', () => {
  for (const [i, { code }] of programs.entries()) writeFileSync(join(modules, `block-${i}.ts`), code)
  // What the compiler has to find.
  writeFileSync(join(modules, 'wrong.ts'), "import { Tokenizer } from 'mactok'\nawait Tokenizer.load(5)\n")
  writeFileSync(
    join(modules, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { noUnusedLocals: false, types: ['node'], typeRoots: ['../../node_modules/@types'] },
      include: ['*.ts', '../../test/docs/given.d.ts']
    })
  )
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', modules], { encoding: 'utf8' })
  const named = stdout.replace(/block-(\d+)\.ts/g, (_, i) => programs[Number(i)]?.place ?? '')
  expect(named.trim().split('\n')).toEqual([expect.stringMatching(/wrong\.ts\(2,22\): error TS2345/)])
})

test('blocks of other languages say why they are not run', () => {
  const others = blocks.filter(({ language }) => !['sh', 'ts', 'yaml'].includes(language))
  expect(others.filter(({ reason }) => reason === undefined).map(({ place }) => place)).toEqual([])
})

const photos = {
  astronaut: 'astronaut',
  camera: 'camera',
  cat: 'chelsea',
  clock: 'clock',
  coffee: 'coffee',
  rocket: 'rocket'
}
const fileOf = (photo: string) => join(root, 'examples', 'photos', `${photo}.jpg`)

/** A folder of photographs, each a class of its own, and tars of ten small ones, under the names that the pages use. */
async function makePlace() {
  for (const [name, photo] of Object.entries(photos)) {
    mkdirSync(join(folder, 'photos', name), { recursive: true })
    symlinkSync(fileOf(photo), join(folder, 'photos', name, `${photo}.jpg`))
  }
  const files: [string, string | Buffer][] = []
  for (let label = 0; label < 10; label++) {
    const photo = Object.values(photos)[label % 6] as string
    const image = await sharp(fileOf(photo)).resize(32, 32).png().toBuffer()
    files.push([`${label}.png`, image], [`${label}.cls`, `${label}`])
  }
  for (const name of ['imagenet', 'cifar10', 'programs/runs']) mkdirSync(join(folder, name), { recursive: true })
  for (const name of ['imagenet/train', 'imagenet/val', 'test']) symlinkSync(join(folder, 'photos'), join(folder, name))
  const tars = { 'train-00000': files.slice(0, 10), 'train-00001': files.slice(10), 'test-00000': files }
  for (const [name, members] of Object.entries(tars)) {
    writeFileSync(join(folder, 'cifar10', `${name}.tar`), await tar(members))
  }
  // Programs have a folder of their own, with the tokenizer that the commands of the start train.
  for (const name of ['photos', 'runs/tiny']) symlinkSync(join(folder, name), join(folder, 'programs', name))
}

interface Job {
  place: string
  words?: string[]
  module?: string
  error?: string
  seconds?: number
}

/** Notes a command, and forgets those that read what it changes: they have to run again where they are shown again. */
function remember(words: readonly string[], seen: Set<string>): void {
  const written = words[words.indexOf('--out') + 1]
  const isRepeated = seen.has(words.filter((word) => word !== '--ui').join(' '))
  if (written !== undefined && words.includes('--out') && !isRepeated) {
    for (const other of seen) if (other.split(' ').includes(written)) seen.delete(other)
  }
  seen.add(words.join(' '))
}

function listJobs(): Job[] {
  const seen = new Set<string>()
  return blocks.filter(isRun).flatMap(({ place, language, code }, i): Job[] => {
    if (language === 'ts') {
      const module = join(modules, `run-${i}.mjs`)
      const jsc = { target: 'es2022', parser: { syntax: 'typescript' } } as const
      writeFileSync(module, transformSync(shrinkProgram(code), { jsc, module: { type: 'es6' } }).code)
      return [{ place, module }]
    }
    const commands = readCommands(code).map((words) => shrinkCommand(mactokWords(words) ?? []))
    const fresh = commands.filter((words) => !seen.has(words.join(' ')))
    for (const words of fresh) remember(words, seen)
    return fresh.map((words) => ({ place, words }))
  })
}

test('every block that no comment excludes runs, on a few photographs for two steps', async () => {
  await makePlace()
  const jobs = join(folder, 'jobs.json')
  writeFileSync(jobs, JSON.stringify(listJobs()))
  const child = spawn(process.execPath, [join(root, 'test', 'docs', 'run-blocks.mjs'), jobs], {
    cwd: folder,
    env: { ...process.env, MACTOK_ADDON: undefined, ...withoutWeights({ path: (name) => join(folder, name) }) },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  expect([code, code === 0 ? '' : log]).toEqual([0, ''])
  const done: Job[] = JSON.parse(readFileSync(jobs, 'utf8'))
  if (process.env.MACTOK_DEBUG)
    for (const { place, words, seconds } of done)
      process.stderr.write(`${seconds?.toFixed(2)} s ${place} ${words?.join(' ')}\n`)
  const failed = done.filter(({ error }) => error !== undefined)
  expect(failed.map(({ place, words, error }) => `${place}: ${words?.join(' ') ?? 'module'}: ${error}`)).toEqual([])
}, 600_000)
