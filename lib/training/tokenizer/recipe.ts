/** The training of a tokenizer, from its settings to a native trainer. */

import type { ImageSource } from '../../data/image-set.js'
import type { Broken } from '../../data/reader.js'
import { native } from '../../native/errors.js'
import { addon } from '../../native/load.js'
import { Teacher } from '../../teacher/teacher.js'
import { startFrom } from '../../tokenizer/start-from.js'
import { Tokenizer } from '../../tokenizer/tokenizer.js'
import { locateWeights } from '../../weights/index.js'
import type { Emitter } from '../emitter.js'
import { isAhead, type Opening, type Recipe } from '../recipe.js'
import { resumeSettings } from '../settle.js'
import { shareOf } from '../share.js'
import { attentionOn } from '../work/fit.js'
import type { Work } from '../work/work.js'
import { carryDiscriminator } from './carry-discriminator.js'
import { TrainingData } from './data.js'
import type { TrainingEvents } from './events.js'
import { findBackbone, loadNetworks } from './networks.js'
import { readTokenizerRun, type TokenizerRunRecord } from './record.js'
import { needsTeacher, type TrainingConfig } from './schema.js'
import { type SessionBatch, TokenizerSession } from './session.js'
import { type SettledConfig, settle, totalSteps, trainerConfig } from './settle.js'
import { tokenizerWork } from './work.js'

interface Inputs {
  source: ImageSource
  heldOut: ImageSource | undefined
  events: Emitter<TrainingEvents>
}

export const tokenizerRecipe = (inputs: Inputs): Recipe<TokenizerRunRecord, SessionBatch> => ({
  kind: 'tokenizer',
  readRecord: readTokenizerRun,
  open: (opening) => openSession(inputs, opening)
})

async function openSession(
  { source, heldOut, events }: Inputs,
  { config, earlier, checkpoint, dir, device, group, resources, requireFit }: Opening<TokenizerRunRecord>
): Promise<TokenizerSession> {
  const backbone = earlier ? earlier.settled.discriminator.weights : await findBackbone(config)
  const onBroken = once((broken) => events.emit('broken', broken))
  const data = resources.use(await TrainingData.open({ config, source, heldOut, onBroken }))
  const isEvaluated = isAhead(config.evaluation.every, checkpoint, totalSteps(config, data.images))
  if (data.heldOut > 0 && isEvaluated) await data.checkEvaluation()
  const teacher = resources.use(await loadTeacher(earlier ? requireTeacher(earlier.settled) : config, device, events))
  const settled: SettledConfig = earlier
    ? resumeSettings(earlier.settled, config, totalSteps(config, data.images))
    : settle(config, { images: data.images, device, teacher: teacher !== null, backbone })
  await requireFit(workOf(settled, device), settled)

  const tokenizer = resources.use(
    await Tokenizer.create(config.tokenizer, {
      device,
      seed: config.seed,
      encoderInit: checkpoint || config.init ? null : config.encoderInit,
      checkpointing: config.checkpointing
    })
  )
  const isDecoder = config.part === 'decoder'
  if (!checkpoint && config.init) await startFrom(tokenizer, config.init, { sameLatents: isDecoder })
  const networks = resources.use(await loadNetworks(settled, device))
  const trainer = await native(
    addon().createTokenizerTrainer(
      tokenizer.native,
      teacher?.native ?? null,
      trainerConfig(settled, { device, group }),
      networks
    )
  )
  resources.defer(() => trainer.dispose())
  if (!checkpoint && config.init && isDecoder) await carryDiscriminator(trainer, config.init)

  const from = { from: source.name, heldOutFrom: heldOut?.name ?? null }
  const share = shareOf(settled, group?.ranks)
  return new TokenizerSession({
    dir,
    settled,
    from,
    images: data,
    teacher,
    trainer,
    share,
    group,
    resources,
    onBroken,
    events
  })
}

/** What a step costs once all terms take part. */
function workOf(settled: SettledConfig, device: string): Work {
  const { precision, discriminator, steps } = settled
  const adversarial = discriminator.weights !== null && discriminator.start < steps
  return tokenizerWork(settled, { precision, attention: attentionOn(device, precision), adversarial })
}

/** Reports each image once, however often it is met. */
function once(listener: (broken: Broken) => void): (broken: Broken) => void {
  const reported = new Set<string>()
  return (broken) => {
    if (reported.has(broken.name)) return
    reported.add(broken.name)
    listener(broken)
  }
}

/** A run that began with a teacher resumes with it or not at all. */
const requireTeacher = (config: SettledConfig): SettledConfig => ({
  ...config,
  teacher: { ...config.teacher, missing: 'error' }
})

/** Loads the teacher; null where none is needed, or where it is missing and may be. */
async function loadTeacher(
  config: TrainingConfig,
  device: string,
  events: Emitter<TrainingEvents>
): Promise<Teacher | null> {
  const { weights, patchSize, missing } = config.teacher
  if (weights === null || !needsTeacher(config)) return null
  if (missing === 'skip' && !(await locateWeights(weights))) {
    const message = `The weights ${weights} were not found: training without semantic masks and alignment. Get them by \`mactok weights pull facebook/${weights}\`.`
    events.emit('notice', { message })
    return null
  }
  const grid = config.tokenizer.imageSize / config.tokenizer.patchSize
  return Teacher.load(weights, { device, grid, patchSize })
}
