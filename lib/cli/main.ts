#!/usr/bin/env node
// First, so that signals have their exit codes while the rest is loaded.
import './signals.js'
import { CommanderError } from 'commander'
import { exitCode } from './exit.js'
import { endWithLauncher } from './launched.js'
import { offerSetup } from './offer-setup.js'
import { kebabFlags } from './options.js'
import { reportError, surviveLostOutput } from './output.js'
import { createProgram } from './program.js'

surviveLostOutput()
endWithLauncher()

try {
  await createProgram().parseAsync(kebabFlags(process.argv.slice(2)), { from: 'user' })
} catch (error) {
  // Commander has written its message already.
  if (!(error instanceof CommanderError)) reportError(error)
  process.exitCode = (await offerSetup(error)) ?? exitCode(error)
}
