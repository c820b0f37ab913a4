#!/usr/bin/env node
/** npm run docs:architecture: draws the rooms of `lib/` and `native/` on their floors, with the imports between them. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readImports, roomOf } from './architecture.mjs'
import { layeredLayout } from './layered-layout.mjs'

/** @typedef {import('./layered-layout.mjs').Edge} Edge */
/** @typedef {import('./layered-layout.mjs').Point} Point */

const root = fileURLToPath(new URL('..', import.meta.url))
const margin = 24
const pitch = 64
const boxHeight = 30
const portGap = 12

const style = `<style>
svg { color: #1f2328; background: #fff; font: 14px system-ui, sans-serif }
text { fill: currentColor; text-anchor: middle; dominant-baseline: central }
.floor { fill: currentColor; opacity: .045 }
.room { fill: #ddf4ff; stroke: #0969da }
.import { fill: none; stroke: #57606a; stroke-width: 1.3; marker-end: url(#head) }
.head { fill: #57606a }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; background: #0d1117 }
  .floor { opacity: .06 }
  .room { fill: #0c2d4e; stroke: #58a6ff }
  .import { stroke: #9da7b3 }
  .head { fill: #9da7b3 }
}
</style>`

/** Draws the figures of docs/architecture.md: each one's file, relative to the repository, and its content. */
export function drawArchitecture() {
  const floors = JSON.parse(readFileSync(join(root, 'docs', 'floors.json'), 'utf8'))
  return /** @type {const} */ (['lib', 'native']).map((tree) => ({
    file: `docs/figures/architecture-${tree}.svg`,
    svg: drawTree(floors[tree], withoutImplied(findRoomImports(readImports(join(root, tree), tree))))
  }))
}

/**
 * Finds which rooms import each other's files.
 * @param {readonly import('./architecture.mjs').Import[]} imports
 * @returns {Edge[]} in alphabetical order, each once
 */
function findRoomImports(imports) {
  const pairs = imports.map(({ from, to }) => ({ from: roomOf(from), to: roomOf(to) }))
  const unique = new Map(pairs.filter(({ from, to }) => from !== to).map((edge) => [`${edge.from} ${edge.to}`, edge]))
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, edge]) => edge)
}

/**
 * Removes the edges that a longer path implies (transitive reduction): with all of them the drawing would be unreadable.
 * @param {readonly Edge[]} edges
 */
function withoutImplied(edges) {
  /** @param {string} from @param {string} to @returns {boolean} */
  const leads = (from, to) => edges.some((edge) => edge.from === from && (edge.to === to || leads(edge.to, to)))
  return edges.filter(
    ({ from, to }) => !edges.some((edge) => edge.from === from && edge.to !== to && leads(edge.to, to))
  )
}

/** @param {string} name */
const widthOf = (name) => Math.round(8.2 * name.length) + 22

/** @param {number} value */
const rounded = (value) => String(Math.round(value * 10) / 10)

/**
 * @param {import('./architecture.mjs').Floors} floors
 * @param {readonly Edge[]} edges
 */
function drawTree(floors, edges) {
  const layers = floors.map((rooms) => rooms.map((name) => ({ name, width: widthOf(name) })))
  const { nodes, routes, width } = layeredLayout(layers, edges, pitch)
  const [fullWidth, height] = [Math.ceil(width) + 2 * margin, floors.length * pitch]
  const bands = floors.flatMap((_, i) =>
    i % 2 === 0 ? [`<rect class="floor" y="${i * pitch}" width="${fullWidth}" height="${pitch}"/>`] : []
  )
  const boxes = [...nodes].map(([name, { x, y }]) => {
    const [w, left, top] = [widthOf(name), x + margin - widthOf(name) / 2, y - boxHeight / 2]
    const box = `<rect class="room" x="${rounded(left)}" y="${top}" width="${w}" height="${boxHeight}" rx="6"/>`
    return `${box}<text x="${rounded(x + margin)}" y="${y}">${name}</text>`
  })
  const paths = attachPorts(routes).map((points) => `<path class="import" d="${drawCurve(points)}"/>`)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${fullWidth} ${height}" width="${fullWidth}" height="${height}">`,
    style,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">' +
      '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    ...bands,
    ...paths,
    ...boxes,
    '</svg>\n'
  ].join('\n')
}

/**
 * Moves the ends of the routes to the boxes' edges, side by side where several meet.
 * @param {{ edge: Edge, points: Point[] }[]} routes
 */
function attachPorts(routes) {
  const moved = routes.map(({ points }) => points.map((point) => ({ ...point })))
  for (const end of /** @type {const} */ (['from', 'to'])) {
    const [own, next] = end === 'from' ? [0, 1] : [-1, -2]
    for (const room of new Set(routes.map(({ edge }) => edge[end]))) {
      /** @param {number} i */
      const towards = (i) => routes[i]?.points.at(next)?.x ?? 0
      const members = [...routes.keys()].filter((i) => routes[i]?.edge[end] === room)
      const sorted = members.sort((a, b) => towards(a) - towards(b))
      const space = Math.min(portGap, (widthOf(room) - portGap) / sorted.length)
      for (const [i, route] of sorted.entries()) {
        const point = /** @type {Point} */ (moved[route]?.at(own))
        point.x += (i - (sorted.length - 1) / 2) * space
        point.y += (end === 'from' ? 1 : -1) * (boxHeight / 2)
      }
    }
  }
  return moved
}

/**
 * Draws a smooth line down: vertical at both ends, and at each bend parallel to the points before and after it.
 * @param {readonly Point[]} points
 */
function drawCurve(points) {
  /** @param {Point} a @param {Point} b */
  const slope = (a, b) => (b.x - a.x) / (b.y - a.y)
  const slopes = points.map((point, i) => {
    const [before, after] = [points[i - 1], points[i + 1]]
    if (!before || !after) return 0
    const [first, second] = [slope(before, point), slope(point, after)]
    const mean = (first + second) / 2
    // A flatter line would touch the boxes beside its bend.
    return first * second <= 0 ? 0 : Math.sign(mean) * Math.min(1, Math.abs(mean))
  })
  /** @param {number} x @param {number} y */
  const at = (x, y) => `${rounded(x + margin)} ${rounded(y)}`
  const parts = points.map(({ x, y }, i) => {
    const before = points[i - 1]
    if (!before) return `M${at(x, y)}`
    const first = (y - before.y) / (i === 1 ? 2 : 3)
    const last = (y - before.y) / (i === points.length - 1 ? 2 : 3)
    const [leaving, arriving] = [slopes[i - 1] ?? 0, slopes[i] ?? 0]
    return `C${at(before.x + first * leaving, before.y + first)} ${at(x - last * arriving, y - last)} ${at(x, y)}`
  })
  return parts.join('')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { file, svg } of drawArchitecture()) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), svg)
    process.stdout.write(`${file}\n`)
  }
}
