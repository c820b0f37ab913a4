#!/usr/bin/env node
/** npm run docs: builds the site of docs/ into .build/site; npm run docs:dev serves it while its pages change. */

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Failure, run, say } from '../lib/setup/report.mjs'
import { describeCommands } from './cli-reference.mjs'
import { findDeadLinks } from './dead-links.mjs'
import { installDependencies } from './npm.mjs'
import { compileTypeScript } from './typescript.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const docs = join(root, 'docs')
const reference = join(docs, 'reference')

run(async () => {
  installDependencies(root)
  installDependencies(docs)
  await compileTypeScript(root)
  rmSync(reference, { recursive: true, force: true })
  await writeCommands()
  copyPages()
  say('writing the API reference')
  start('typedoc', ['--options', 'typedoc.json'])
  if (process.argv.includes('--dev')) return start('vitepress', ['dev'])
  start('vitepress', ['build'])
  const dead = findDeadLinks(join(root, '.build', 'site'), process.env.MACTOK_DOCS_BASE ?? '/')
  if (dead.length > 0) throw new Failure('The site has dead links:', dead)
})

/** Runs one of the site's tools in docs/. @param {string} tool @param {string[]} args */
function start(tool, args) {
  const program = join(docs, 'node_modules', tool, 'bin', tool === 'typedoc' ? 'typedoc' : 'vitepress.js')
  const { status } = spawnSync(process.execPath, [program, ...args], { cwd: docs, stdio: 'inherit' })
  if (status !== 0) throw new Failure(`${tool} failed; see its messages above`)
}

/** Writes the reference of the command line. */
async function writeCommands() {
  const file = pathToFileURL(join(root, 'dist', 'cli', 'program.js')).href
  const { createCompleteProgram } = await import(file)
  for (const { name, markdown } of describeCommands(await createCompleteProgram())) {
    writePage(join(reference, 'cli', `${name}.md`), markdown)
  }
}

/** Copies the pages that lie elsewhere in the repository. */
function copyPages() {
  copyPage('CHANGELOG.md', 'changelog.md')
  for (const name of readdirSync(join(root, 'examples'))) {
    if (existsSync(join(root, 'examples', name, 'README.md')))
      copyPage(`examples/${name}/README.md`, `examples/${name}.md`)
  }
}

/** @param {string} from @param {string} to */
function copyPage(from, to) {
  const target = join(reference, to)
  mkdirSync(dirname(target), { recursive: true })
  copyFileSync(join(root, from), target)
}

/** @param {string} file @param {string} markdown */
function writePage(file, markdown) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, markdown)
}
