// Builds the addon: node scripts/build.mjs [folder for the result, default build/Release] [--cuda]
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon } from './addon.mjs'
import { findCudaHeaders, findLibTorch } from './libtorch.mjs'
import { withLock } from './lock.mjs'
import { run } from './report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [out] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))

run(() =>
  withLock(join(root, '.build', 'setup.lock'), async () => {
    const cuda = process.argv.includes('--cuda') ? await findCudaHeaders() : undefined
    await buildAddon({ root, libtorch: await findLibTorch(), out, cuda })
  })
)
