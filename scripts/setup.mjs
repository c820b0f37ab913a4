// Makes a fresh clone run: npm dependencies, LibTorch, the addon, TypeScript.
// Uses nothing but Node's own modules. Costs a fraction of a second when everything is up to date.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon } from './addon.mjs'
import { findCudaHeaders, findLibTorch, wantsCuda } from './libtorch.mjs'
import { withLock } from './lock.mjs'
import { installDependencies } from './npm.mjs'
import { run } from './report.mjs'
import { requireNode } from './tools.mjs'
import { compileTypeScript } from './typescript.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

run(() =>
  withLock(join(root, '.build', 'setup.lock'), async () => {
    requireNode()
    installDependencies(root)
    const libtorch = await findLibTorch()
    const cuda = wantsCuda() ? await findCudaHeaders() : undefined
    await buildAddon({ root, libtorch, cuda, testing: true })
    await compileTypeScript(root)
  })
)
