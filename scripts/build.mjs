// Builds the addon: node scripts/build.mjs [folder for the result, default build/Release] [--cuda]
// libmactok_cuda is built where CUDA will be used (lib/setup/cuda-headers.mjs), with --cuda anywhere, and for prebuildify.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildAddon, isBuilt } from '../lib/setup/addon.mjs'
import { cudaHeaders } from '../lib/setup/cuda-headers.mjs'
import { findLibTorch } from '../lib/setup/libtorch.mjs'
import { withLock } from '../lib/setup/lock.mjs'
import { run } from '../lib/setup/report.mjs'
import { requireBuildTools } from '../lib/setup/tools.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const [out] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))

run(() =>
  withLock(join(root, '.build', 'setup.lock'), 'another set-up', async () => {
    if (!isBuilt(root, out)) requireBuildTools()
    const libtorch = await findLibTorch()
    const prebuilt = 'PREBUILD_ARCH' in process.env && process.platform === 'linux'
    const cuda = await cudaHeaders(libtorch, { required: prebuilt || process.argv.includes('--cuda') })
    await buildAddon({ root, libtorch, out, cuda })
  })
)
