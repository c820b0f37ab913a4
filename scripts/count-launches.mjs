// node scripts/count-launches.mjs [plain|early|full|sit] [fp32|bf16] [--graphs] [--json]
// Prints the operations of one training step by name, as the stand-in device counts them (native/testing/device).

import { Failure, run } from '../lib/setup/report.mjs'
import { countLaunches, recipeNames } from './launches.mjs'

Object.assign(process.env, { MACTOK_ADDON: 'mactok_testing', MACTOK_CUDA_LIBRARY: 'mactok_stand_in' })

const arguments_ = process.argv.slice(2)
const [recipe = 'full', precision = 'bf16'] = arguments_.filter((argument) => !argument.startsWith('--'))
const graphs = arguments_.includes('--graphs')

run(async () => {
  if (!recipeNames.includes(recipe))
    throw new Failure(`expected one of ${recipeNames.join(', ')} but received ${recipe}`)
  const { addon } = await import('../dist/native/load.js')
  const native = addon()
  native.setThreads(1)
  const { launches, operations, ...counts } = await countLaunches(native, recipe, { device: 'cuda', precision, graphs })
  if (arguments_.includes('--json')) {
    console.log(JSON.stringify({ recipe, precision, graphs, launches, operations, ...counts }))
    return
  }
  const rows = Object.entries(operations).sort(([, a], [, b]) => b - a)
  for (const [name, count] of rows) console.log(`${String(count).padStart(6)}  ${name}`)
  console.log(
    `${String(launches).padStart(6)}  launches of the host in a step (${recipe}, ${precision}${graphs ? ', graphs' : ''})`
  )
  console.log(JSON.stringify(counts))
})
