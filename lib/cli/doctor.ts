import { createRequire } from 'node:module'
import type { Command } from 'commander'
import { type Check, examineMachine } from '../setup/machine.js'
import { locateWeights } from '../weights/index.js'
import { addExamples } from './options.js'
import { writeJson, writeTable } from './output.js'

const teachers = ['dinov2-small', 'dinov2-base', 'dinov2-large', 'dinov2-giant']

export function define(command: Command): void {
  command.option('--json', 'write JSON to standard output')
  addExamples(command, {
    'mactok doctor': 'check what is installed, and where; exit code 1 when training is impossible'
  })
  command.action(async ({ json = false }: { json?: boolean }) => {
    const checks = [checkPackage(), ...(await examineMachine()), await checkWeights()]
    const canTrain = checks.every(({ state, required }) => state === 'ok' || !required)
    if (json) writeJson({ canTrain, checks })
    else writeChecks(checks)
    if (!canTrain) process.exitCode = 1
  })
}

function checkPackage(): Check {
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  return { name: 'mactok', state: 'ok', found: version, required: false }
}

async function checkWeights(): Promise<Check> {
  const located = await Promise.all(teachers.map(async (name) => ((await locateWeights(name)) ? name : [])))
  const found = located.flat().join(', ')
  if (found) return { name: 'weights', state: 'ok', found, required: false }
  const fix = 'npx mactok weights pull facebook/dinov2-small'
  return {
    name: 'weights',
    state: 'missing',
    found: 'no teacher; presets for CPUs train without one',
    fix,
    required: false
  }
}

/** A line per check, and below those that are not ok what to do. */
function writeChecks(checks: readonly Check[]): void {
  writeTable(
    checks.flatMap(({ name, state, found, fix, required }): [string, string][] => {
      const mark = state === 'ok' ? 'ok     ' : state.padEnd(7)
      const note = state !== 'ok' && !required ? ' (optional)' : ''
      return [[name, `${mark}  ${found}${note}`], ...(fix ? [['', `         fix: ${fix}`] as [string, string]] : [])]
    })
  )
}
