/**
 * Checks that two checkouts of mactok compute the same: runs the same commands with the same seeds in both, and compares every file that
 * they write, byte for byte; of JSON, everything but clocks, versions and checksums of other JSON.
 *
 *   node scripts/same-results.mjs <checkout before> <checkout after>
 *
 * Both are set up (`npm run setup`). With weights in MACTOK_WEIGHTS (default ../shared/weights) semantic masks, alignment, LPIPS and the
 * discriminator are included.
 */

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const photos = join(root, 'examples', 'photos')
const weights = resolve(process.env.MACTOK_WEIGHTS ?? join(root, '..', 'shared', 'weights'))
const everything = existsSync(join(weights, 'dinov2-small'))
  ? [
      ['--teacher.weights', 'dinov2-small', '--loss.perceptual.weights', 'lpips-vgg', '--loss.perceptual.warmup', '2'],
      ['--discriminator.weights', 'dinov2-small', '--discriminator.start', '2']
    ].flat()
  : ['--teacher.weights', 'none']

const tokenizer = ['train', 'tokenizer', 'tiny-64', '--data', photos, '--batch', '8', '--log.every', '1']
const generator = [
  '--latents',
  'latents',
  '--tokenizer',
  'plain',
  '--batch',
  '4',
  '--log.every',
  '1',
  '--grid.every',
  '3'
]

/** The commands, each by the name of what it covers. */
const commands = {
  'a tokenizer in float32': [
    ...tokenizer,
    '--teacher.weights',
    'none',
    '--out',
    'plain',
    '--steps',
    '6',
    '--grid.every',
    '3'
  ],
  'everything on, in bfloat16': [
    ...tokenizer,
    ...everything,
    '--precision',
    'bf16',
    '--out',
    'full',
    '--steps',
    '4',
    '--microBatch',
    '4'
  ],
  'an interrupted tokenizer': [
    ...tokenizer,
    '--teacher.weights',
    'none',
    '--out',
    'resumed',
    '--steps',
    '6',
    '--stop-at',
    '3'
  ],
  'the same, resumed': [...tokenizer, '--teacher.weights', 'none', '--out', 'resumed', '--steps', '6', '--resume'],
  'decoder fine-tuning': ['train', 'decoder', 'plain', '--out', 'decoder', '--epochs', '3', '--log.every', '1'],
  encoding: ['encode', 'plain', '--data', photos, '--out', 'latents', '--batch', '3'],
  'encoding samples': [
    'encode',
    'plain',
    '--data',
    photos,
    '--out',
    'samples',
    '--sample',
    '--batch',
    '3',
    '--shard-size',
    '5'
  ],
  'encoding moments': ['encode', 'full', '--data', photos, '--out', 'moments', '--moments', '--dtype', 'bfloat16'],
  decoding: ['decode', 'plain', '--latents', 'latents', '--out', 'decoded'],
  'a grid of reconstructions': ['reconstruct', 'plain', '--data', photos, '--teacher', 'none', '--out', 'grid.png'],
  SiT: ['train', 'generator', 'sit-tiny', ...generator, '--out', 'sit', '--steps', '6'],
  'LightningDiT on moments': [
    'train',
    'generator',
    'lightningdit-tiny',
    '--latents',
    'moments',
    '--out',
    'dit',
    '--steps',
    '4',
    '--batch',
    '4'
  ],
  samples: [
    'sample',
    'sit',
    '--tokenizer',
    'plain',
    '--count',
    '5',
    '--guidance.scale',
    '2',
    '--steps',
    '4',
    '--npz',
    'drawn.npz',
    '--out',
    'drawn'
  ],
  'samples by an SDE': [
    'sample',
    'sit',
    '--tokenizer',
    'plain',
    '--count',
    '3',
    '--sampler',
    'sde-heun',
    '--steps',
    '4',
    '--grid',
    'sde.png'
  ],
  'an evaluation': ['evaluate', 'reconstruction', 'plain', '--data', photos]
}

const [before, after] = process.argv.slice(2).map((path) => resolve(path))
if (!before || !after) {
  process.stderr.write('usage: node scripts/same-results.mjs <checkout before> <checkout after>\n')
  process.exit(2)
}

/**
 * Runs every command in a folder of its own.
 * @param {string} checkout
 * @returns {string} the folder
 */
function compute(checkout) {
  const folder = mkdtempSync(join(tmpdir(), 'mactok-results-'))
  for (const [name, command] of Object.entries(commands)) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [join(checkout, 'dist', 'cli', 'main.js'), ...command, '--threads', '2'],
      { cwd: folder, encoding: 'utf8', env: { ...process.env, MACTOK_WEIGHTS: weights } }
    )
    // 130: interrupted after a checkpoint.
    if (status !== 0 && status !== 130) throw new Error(`${checkout}: ${name} failed\n${stdout}${stderr}`)
    process.stdout.write(`${checkout}: ${name}\n`)
  }
  return folder
}

const unlike =
  /^(imagesPerSecond|picturesPerSecond|latentsPerSecond|secondsLeft|versions|files|formatVersion|libtorch)$/

/**
 * JSON as text without what depends on the clock or the version, its words for an image alike.
 * @param {string} text
 */
const comparable = (text) =>
  JSON.stringify(JSON.parse(text), (key, value) => (unlike.test(key) ? undefined : value))
    .replaceAll('picture', 'image')
    .replaceAll('Picture', 'Image')

/**
 * What is compared of a file.
 * @param {string} path
 */
function digest(path) {
  const bytes = readFileSync(path)
  if (path.endsWith('.json')) return comparable(bytes.toString())
  if (path.endsWith('.jsonl')) return bytes.toString().trim().split('\n').map(comparable).join('\n')
  return createHash('sha256').update(bytes).digest('hex')
}

/** @param {string} folder */
const files = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    // TensorBoard's files are named after the time, and hold it.
    .filter((entry) => entry.isFile() && !entry.name.startsWith('events.out'))
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()

const [old, now] = [compute(before), compute(after)]
const names = [...new Set([...files(old), ...files(now)])].sort()
const differing = names.filter((name) => {
  const [a, b] = [join(old, name), join(now, name)]
  if (existsSync(a) && existsSync(b) && digest(a) === digest(b)) return false
  process.stdout.write(
    `DIFFERENT  ${name}${existsSync(a) ? '' : ' (only after)'}${existsSync(b) ? '' : ' (only before)'}\n`
  )
  return true
})
process.stdout.write(`${names.length - differing.length} of ${names.length} files are the same\n`)
if (differing.length === 0) for (const folder of [old, now]) rmSync(folder, { recursive: true })
else process.stdout.write(`Kept for inspection: ${old} and ${now}\n`)
process.exit(differing.length === 0 ? 0 : 1)
