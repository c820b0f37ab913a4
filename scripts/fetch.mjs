// Fetches LibTorch into the user cache, for a mactok that came with its addon built.
import { findLibTorch } from './libtorch.mjs'
import { run, say } from './report.mjs'

run(async () => say(`LibTorch is at ${await findLibTorch()}`))
