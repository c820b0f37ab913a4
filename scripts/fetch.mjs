// Fetches LibTorch into the user cache, for an installation with a prebuilt addon.
import { findLibTorch } from './libtorch.mjs'
import { run, say } from './report.mjs'

run(async () => say(`LibTorch is at ${await findLibTorch()}`))
