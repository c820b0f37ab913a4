// Builds the addon: node scripts/build.mjs [folder for the result, default build/Release] [--cuda]
import { buildAddon } from './addon.mjs'
import { findLibTorch } from './libtorch.mjs'
import { run } from './report.mjs'

const [out] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
run(async () => buildAddon({ libtorch: await findLibTorch(), out }))
