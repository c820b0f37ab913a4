// Makes a fresh clone run: npm dependencies, LibTorch, the addon, TypeScript.
// Uses nothing but Node's own modules. Costs a fraction of a second when everything is up to date.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon, isBuilt } from '../lib/setup/addon.mjs'
import { cudaHeaders } from '../lib/setup/cuda-headers.mjs'
import { findLibTorch } from '../lib/setup/libtorch.mjs'
import { withLock } from '../lib/setup/lock.mjs'
import { run } from '../lib/setup/report.mjs'
import { requireBuildTools, requireNode } from '../lib/setup/tools.mjs'
import { installDependencies } from './npm.mjs'
import { compileTypeScript } from './typescript.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

run(() =>
  withLock(join(root, '.build', 'setup.lock'), 'another set-up', async () => {
    requireNode()
    if (!isBuilt(root)) requireBuildTools()
    installDependencies(root)
    const libtorch = await findLibTorch()
    const cuda = await cudaHeaders(libtorch)
    await buildAddon({ root, libtorch, cuda, testing: true })
    await compileTypeScript(root)
  })
)
