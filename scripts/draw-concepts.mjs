#!/usr/bin/env node
/** npm run docs:concepts: draws the figures of concepts.md. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

const style = `<style>
svg { color: #1f2328; background: #fff; font: 14px system-ui, sans-serif }
text { fill: currentColor; text-anchor: middle; dominant-baseline: central }
.small { font-size: 12px; opacity: .75 }
.left { text-anchor: start }
.model { fill: #ddf4ff; stroke: #0969da }
.frozen { fill: #f6f8fa; stroke: #8c959f; stroke-dasharray: 4 3 }
.latent { fill: #fff1c2; stroke: #bf8700 }
.patch { fill: #d7e9d9; stroke: #4a8f54 }
.object { fill: #7fbf8a; stroke: #4a8f54 }
.masked { fill: #24292f; stroke: #24292f }
.noise { fill: #e4dcf7; stroke: #8250df }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.3; marker-end: url(#head) }
.compare { fill: none; stroke: #cf222e; stroke-width: 1.3; stroke-dasharray: 5 3 }
.head { fill: #57606a }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; background: #0d1117 }
  .model { fill: #0c2d4e; stroke: #58a6ff }
  .frozen { fill: #161b22; stroke: #8b949e }
  .latent { fill: #4b3a06; stroke: #d4a72c }
  .patch { fill: #17351d; stroke: #57ab5a }
  .object { fill: #347d39; stroke: #57ab5a }
  .masked { fill: #6e7681; stroke: #6e7681 }
  .noise { fill: #2f2150; stroke: #a475f9 }
  .arrow { stroke: #9da7b3 }
  .head { fill: #9da7b3 }
  .compare { stroke: #ff7b72 }
}
</style>`

/** @param {number} x @param {number} y @param {string} label @param {string} [kind] */
const text = (x, y, label, kind = '') => `<text class="${kind}" x="${x}" y="${y}">${label}</text>`

/** @param {number} x @param {number} y @param {number} width @param {number} height @param {string} kind */
const rectangle = (x, y, width, height, kind) =>
  `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="${Math.min(6, width / 5)}"/>`

/** A box with one or two lines. @param {number} x @param {number} y @param {number} width @param {string} kind @param {string} label @param {string} [note] */
const box = (x, y, width, kind, label, note) =>
  rectangle(x, y, width, 52, kind) +
  text(x + width / 2, y + (note ? 19 : 26), label) +
  (note ? text(x + width / 2, y + 37, note, 'small') : '')

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 @param {string} [kind] */
const line = (x1, y1, x2, y2, kind = 'arrow') => `<path class="${kind}" d="M${x1} ${y1}L${x2} ${y2}"/>`

/** A row of tokens. @param {number} x @param {number} y @param {readonly string[]} kinds */
const tokens = (x, y, kinds) => kinds.map((kind, i) => rectangle(x + i * 16, y, 12, 24, kind)).join('')

/** A square of patches. @param {number} x @param {number} y @param {number} side @param {(row: number, column: number) => string} kindOf */
const patches = (x, y, side, kindOf) =>
  Array.from({ length: side * side }, (_, i) => {
    const [row, column] = [Math.floor(i / side), i % side]
    return rectangle(x + column * 16, y + row * 16, 14, 14, kindOf(row, column))
  }).join('')

/** @param {string} kind @param {number} count */
const repeat = (kind, count) => Array(count).fill(kind)

/** The drawn image's object: a disc of patches. @param {number} row @param {number} column */
const isObject = (row, column) => (row - 2.5) ** 2 + (column - 2.5) ** 2 < 3.6

/** @param {number} row @param {number} column */
const whole = (row, column) => (isObject(row, column) ? 'object' : 'patch')

function drawTokenizer() {
  return [
    patches(20, 30, 6, whole),
    text(67, 142, 'image', ''),
    text(67, 160, '[B, 3, H, W]', 'small'),
    line(124, 77, 150, 77),
    box(152, 51, 96, 'model', 'encoder', 'ViT'),
    line(250, 77, 276, 77),
    rectangle(278, 40, 92, 74, 'latent'),
    text(324, 62, 'mean μ'),
    text(324, 92, 'log σ²'),
    text(324, 142, 'posterior', ''),
    text(324, 160, 'per token and channel', 'small'),
    line(372, 77, 398, 77),
    tokens(402, 65, repeat('latent', 8)),
    text(464, 142, 'latents z'),
    text(464, 160, '[B, L, Z]', 'small'),
    line(532, 77, 556, 77),
    box(558, 51, 96, 'model', 'decoder', 'ViT'),
    line(656, 77, 682, 77),
    patches(688, 30, 6, whole),
    text(735, 142, 'reconstruction')
  ]
}

function drawMasking() {
  const random = new Set([1, 2, 5, 7, 9, 12, 14, 16, 19, 20, 24, 27, 28, 31, 33])
  const hidden = ['latent', 'latent', 'latent', 'latent']
  return [
    patches(20, 30, 6, whole),
    text(67, 142, 'image'),
    patches(190, 30, 6, (row, column) => (random.has(6 * row + column) ? 'masked' : whole(row, column))),
    text(237, 142, 'random'),
    text(237, 160, '⌈mN⌉ patches', 'small'),
    patches(330, 30, 6, (row, column) => (isObject(row, column) ? 'masked' : 'patch')),
    text(377, 142, 'semantic'),
    text(377, 160, 'most like the teacher’s cls', 'small'),
    line(124, 77, 180, 77),
    line(434, 77, 476, 77),
    tokens(482, 65, [...hidden, 'patch', 'masked', 'patch', 'masked', 'masked', 'patch']),
    text(510, 108, 'latent', 'small'),
    text(592, 108, 'image tokens', 'small'),
    line(648, 77, 674, 77),
    box(676, 51, 96, 'model', 'encoder', 'sees the rest'),
    text(640, 142, 'the decoder draws the whole image')
  ]
}

function drawAlignment() {
  return [
    tokens(20, 45, repeat('latent', 4)),
    text(50, 90, 'L latents'),
    line(88, 57, 130, 57),
    box(132, 31, 96, 'model', 'MLP'),
    line(230, 57, 280, 57),
    tokens(284, 45, repeat('latent', 4)),
    line(352, 57, 452, 57, 'compare'),
    text(402, 44, 'local: cosine', 'small'),
    tokens(456, 45, repeat('patch', 12)),
    text(552, 90, 'patches: N/L for each latent'),
    text(50, 150, 'mean latent'),
    tokens(44, 165, ['latent']),
    line(62, 177, 130, 177),
    box(132, 151, 96, 'model', 'MLP'),
    line(230, 177, 280, 177),
    tokens(284, 165, ['latent']),
    line(302, 177, 452, 177, 'compare'),
    text(377, 164, 'global: cosine', 'small'),
    tokens(456, 165, ['object']),
    text(492, 177, 'cls', 'left'),
    box(676, 91, 100, 'frozen', 'DINOv2', 'frozen teacher'),
    line(726, 89, 660, 59),
    line(674, 145, 522, 176)
  ]
}

function drawGenerator() {
  return [
    tokens(20, 65, repeat('noise', 8)),
    text(82, 110, 'noise'),
    text(82, 128, 't = 0', 'small'),
    line(152, 77, 196, 77),
    box(198, 51, 150, 'model', 'SiT, LightningDiT', 'velocity at (x, t, class)'),
    `<path class="arrow" d="M330 49C340 12 206 12 216 47"/>`,
    text(273, 8, 'steps of an ODE or SDE solver', 'small'),
    line(350, 77, 394, 77),
    tokens(400, 65, repeat('latent', 8)),
    text(462, 110, 'latents'),
    text(462, 128, 't = 1, denormalised', 'small'),
    line(532, 77, 556, 77),
    box(558, 51, 96, 'model', 'decoder', 'of the tokenizer'),
    line(656, 77, 682, 77),
    patches(688, 30, 6, whole),
    text(735, 142, 'sample')
  ]
}

function drawShards() {
  /** @param {number} y @param {string} name @param {string} note */
  const shard = (y, name, note) =>
    rectangle(330, y, 300, 40, 'latent') + text(480, y + 13, name) + text(480, y + 29, note, 'small')
  const notes = ['samples 0 to S − 1', 'samples S to 2S − 1', '…']
  return [
    rectangle(20, 40, 120, 120, 'patch'),
    text(80, 85, 'images'),
    text(80, 110, 'sorted by name', 'small'),
    line(142, 100, 176, 100),
    box(178, 74, 110, 'model', 'encoder', 'and mirrored'),
    ...notes.flatMap((note, i) => [
      line(290, 100, 326, 40 + 52 * i),
      shard(20 + 52 * i, `latents_rank00_shard00${i}.safetensors`, note)
    ]),
    line(632, 92, 656, 92),
    rectangle(660, 30, 126, 40, 'frozen'),
    text(723, 50, 'latents_stats.json', 'small'),
    rectangle(660, 80, 126, 40, 'frozen'),
    text(723, 100, 'latents_stats.pt', 'small'),
    rectangle(660, 130, 126, 40, 'frozen'),
    text(723, 150, 'manifest.json', 'small')
  ]
}

const drawings = {
  tokenizer: drawTokenizer,
  masking: drawMasking,
  alignment: drawAlignment,
  generator: drawGenerator,
  shards: drawShards
}

/** Draws the figures of docs/concepts.md: each one's file, relative to the repository, and its content. */
export function drawConcepts() {
  return Object.entries(drawings).map(([name, draw]) => {
    const height = { alignment: 220, shards: 200 }[name] ?? 180
    return {
      file: `docs/figures/concept-${name}.svg`,
      svg: [
        `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -10 806 ${height}" width="806" height="${height}">`,
        style,
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">' +
          '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
        ...draw(),
        '</svg>\n'
      ].join('\n')
    }
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { file, svg } of drawConcepts()) writeFileSync(join(root, file), svg)
}
