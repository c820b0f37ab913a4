/** The training of a generator, from its settings to a native trainer. */

import { join } from 'node:path'
import { createNetwork } from '../../generator/create-network.js'
import type { GeneratorIdentity } from '../../generator/folder.js'
import { Generator } from '../../generator/generator.js'
import type { GeneratorConfig } from '../../generator/schema.js'
import { LatentShards } from '../../latents/index.js'
import { torchStatisticsFile } from '../../latents/manifest.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import { Tokenizer } from '../../tokenizer/tokenizer.js'
import type { Emitter } from '../emitter.js'
import { isAhead, type Opening, type Recipe } from '../recipe.js'
import { resumeSettings } from '../settle.js'
import { shareOf } from '../share.js'
import { attentionOn } from '../work/fit.js'
import type { GeneratorEvents } from './events.js'
import type { LatentBatch } from './latent-batches.js'
import { type GeneratorRunRecord, readGeneratorRun } from './record.js'
import { checkSampleEvaluation, SampleEvaluation } from './sample-evaluation.js'
import { GeneratorSession } from './session.js'
import { type SettledGeneratorConfig, settle, trainerConfig } from './settle.js'
import { generatorWork } from './work.js'

interface Inputs {
  /** Folder of the latent shards. */
  shards: string
  /** Folder of the tokenizer that decodes samples. */
  tokenizer: string | null
  /** What samples are evaluated against. */
  reference: string | null
  events: Pick<Emitter<GeneratorEvents>, 'emit'>
}

export const generatorRecipe = (inputs: Inputs): Recipe<GeneratorRunRecord, LatentBatch> => ({
  kind: 'generator',
  readRecord: readGeneratorRun,
  open: (opening) => openSession(inputs, opening)
})

async function openSession(
  inputs: Inputs,
  { config, earlier, checkpoint, dir, device, group, resources, requireFit }: Opening<GeneratorRunRecord>
): Promise<GeneratorSession> {
  const shards = resources.use(await LatentShards.open(inputs.shards, addon()))
  const settled = earlier ? resumeSettings(earlier.settled, config, config.steps) : settle(config, device)
  const { reference, events } = inputs
  const isEvaluated = isAhead(settled.evaluation.every, checkpoint, settled.steps)
  if (reference !== null && isEvaluated) await checkSampleEvaluation(settled.evaluation, reference, group)
  const identity = await identify(settled, shards)
  const { precision } = settled
  const { latentShape, classes } = identity.config
  const attention = attentionOn(device, precision)
  await requireFit(generatorWork(settled, { precision, attention, latentShape, classes }), settled)
  const { normalise } = settled.latents
  const file = normalise === 'none' ? null : await shards.statisticsFile(normalise)
  if (file === torchStatisticsFile) {
    inputs.events.emit('notice', {
      message: `normalising with ${file} of ${shards.folder}; remove it to compute statistics`
    })
  }
  const decodes = inputs.tokenizer !== null && (config.grid.every !== null || reference !== null)
  const tokenizer = decodes ? resources.use(await Tokenizer.load(inputs.tokenizer as string, { device })) : null
  // A wrong tokenizer is refused before the training starts.
  if (tokenizer) await Generator.check(identity, tokenizer)

  const create = async () => {
    const { seed, checkpointing } = config
    const network = await createNetwork(identity.config, { device, seed, checkpointing })
    resources.defer(() => network.dispose())
    return network
  }
  const trainer = await native(
    addon().createFlowTrainer(await create(), await create(), trainerConfig(settled, { device, group }))
  )
  resources.defer(() => trainer.dispose())
  const from = { from: inputs.shards, tokenizerFrom: inputs.tokenizer, referenceFrom: reference }
  const evaluation =
    tokenizer && reference !== null
      ? resources.use(
          new SampleEvaluation({
            settings: settled.evaluation,
            seed: settled.seed,
            tokenizer,
            reference,
            file: join(dir, 'reference.npz'),
            device,
            group
          })
        )
      : null
  const share = shareOf(settled, group?.ranks)
  return new GeneratorSession({ settled, from, shards, identity, tokenizer, evaluation, trainer, share, events })
}

async function identify(config: SettledGeneratorConfig, shards: LatentShards): Promise<GeneratorIdentity> {
  const { normalise } = config.latents
  const complete: GeneratorConfig = {
    ...config.generator,
    latentShape: [...shards.sampleShape],
    classes: Math.max(1, shards.classCount),
    flow: config.flow
  }
  return {
    config: complete,
    statistics: normalise === 'none' ? null : await shards.statistics(normalise),
    classNames: shards.classes ?? null,
    tokenizer: shards.tokenizer ?? null
  }
}
