/** From nothing to a finished training step; whoever starts this process also measures its start. */

import { addon } from '../../dist/native/load.js'
import { answer, readSpec } from './harness.mjs'
import { createTrainer, randomImages, stepOptions } from './tokenizer-trainer.mjs'

const spec = readSpec()
const { batch, tokenizer } = spec
const { trainer } = await createTrainer(spec)
const shape = [batch, tokenizer.imageSize, tokenizer.imageSize, 3]
const images = addon().tensor(randomImages(0, batch, tokenizer.imageSize), 'uint8', shape, 'cpu')
await trainer.step([images], stepOptions(0, 'plain'))
const { total } = await trainer.metrics()
if (!Number.isFinite(total)) throw new Error(`The loss is ${total}`)
await answer({})
process.exit(0)
