// Builds the addon: node scripts/build.mjs [folder for the result, default build/Release] [--cuda]
// libmactok_cuda is built where CUDA will be used (scripts/cuda-headers.mjs), and with --cuda anywhere.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon, isBuilt } from './addon.mjs'
import { cudaHeaders } from './cuda-headers.mjs'
import { findLibTorch } from './libtorch.mjs'
import { withLock } from './lock.mjs'
import { run } from './report.mjs'
import { requireBuildTools } from './tools.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [out] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))

run(() =>
  withLock(join(root, '.build', 'setup.lock'), async () => {
    if (!isBuilt(root, out)) requireBuildTools()
    const libtorch = await findLibTorch()
    const cuda = await cudaHeaders(libtorch, { required: process.argv.includes('--cuda') })
    await buildAddon({ root, libtorch, out, cuda })
  })
)
