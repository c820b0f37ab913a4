/** node fixtures.mjs <kind> <folder> <spec>: writes what a case's workers share, and prints what their specs name. */

import { writeEncoderFixtures } from './encoder-fixtures.mjs'
import { writeGeneratorFixtures } from './generator-fixtures.mjs'
import { writeTokenizerFixtures } from './tokenizer-fixtures.mjs'

const kinds = { encoder: writeEncoderFixtures, generator: writeGeneratorFixtures, tokenizer: writeTokenizerFixtures }
const [kind, folder, spec] = process.argv.slice(2)
console.log(JSON.stringify(await kinds[kind](folder, JSON.parse(spec))))
process.exit(0)
