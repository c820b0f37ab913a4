/** Places the nodes of a layered graph so that its edges run down with few crossings (Sugiyama's method). */

/**
 * @typedef {{ name: string, width: number }} Node of one layer; the name is unique
 * @typedef {{ from: string, to: string }} Edge from a node to one of a lower layer
 * @typedef {{ x: number, y: number }} Point
 * @typedef {{ nodes: Map<string, Point>, routes: { edge: Edge, points: Point[] }[], width: number }} Layout centres of
 *   nodes, and the points that each edge runs through, its ends included
 */

const gap = 28
const bendWidth = 8
const orderSweeps = 24
const placeSweeps = 400

/**
 * @param {readonly (readonly Node[])[]} layers from top to bottom
 * @param {readonly Edge[]} edges
 * @param {number} pitch distance of two layers' centres
 * @returns {Layout}
 */
export function layeredLayout(layers, edges, pitch) {
  const { rows, links, chains } = addBends(layers, edges)
  const ordered = orderRows(rows, links)
  const x = placeNodes(ordered, links)
  const right = Math.max(...ordered.flat().map(({ name, width }) => (x.get(name) ?? 0) + width / 2))
  const level = new Map(ordered.flatMap((row, i) => row.map(({ name }) => /** @type {const} */ ([name, i]))))
  /** @param {string} name */
  const pointOf = (name) => ({ x: x.get(name) ?? 0, y: ((level.get(name) ?? 0) + 0.5) * pitch })
  return {
    nodes: new Map(layers.flat().map(({ name }) => [name, pointOf(name)])),
    routes: chains.map(({ edge, chain }) => ({ edge, points: chain.map(pointOf) })),
    width: right
  }
}

/**
 * Splits every edge over several layers into links of neighbouring ones, with a bend in each layer between.
 * @param {readonly (readonly Node[])[]} layers
 * @param {readonly Edge[]} edges
 */
function addBends(layers, edges) {
  const rows = layers.map((layer) => [...layer])
  const level = new Map(layers.flatMap((layer, i) => layer.map(({ name }) => /** @type {const} */ ([name, i]))))
  const chains = edges.map((edge) => {
    const [first, last] = [level.get(edge.from) ?? 0, level.get(edge.to) ?? 0]
    const chain = [edge.from]
    for (let i = first + 1; i < last; i++) {
      const name = `${edge.from} → ${edge.to} at ${i}`
      rows[i]?.push({ name, width: bendWidth })
      chain.push(name)
    }
    return { edge, chain: [...chain, edge.to] }
  })
  const links = chains.flatMap(({ chain }) =>
    chain.slice(1).map((to, i) => ({ from: /** @type {string} */ (chain[i]), to }))
  )
  return { rows, links, chains }
}

/** @param {readonly number[]} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/**
 * Finds the nodes above and below each node.
 * @param {readonly Edge[]} links
 */
function findNeighbours(links) {
  /** @type {{ above: Map<string, string[]>, below: Map<string, string[]> }} */
  const { above, below } = { above: new Map(), below: new Map() }
  for (const { from, to } of links) {
    below.set(from, [...(below.get(from) ?? []), to])
    above.set(to, [...(above.get(to) ?? []), from])
  }
  return { above, below }
}

/**
 * Orders each row by the mean position of its neighbours, down and up in turn; keeps the order with the fewest crossings.
 * @param {Node[][]} rows
 * @param {readonly Edge[]} links
 */
function orderRows(rows, links) {
  const { above, below } = findNeighbours(links)
  let current = rows
  let best = rows
  for (let sweep = 0; sweep < orderSweeps; sweep++) {
    const down = sweep % 2 === 0
    const position = findPositions(current)
    const sorted = current.map((row) => [...row])
    for (const row of down ? sorted : sorted.toReversed()) {
      /** @param {Node} node */
      const key = ({ name }) => {
        const near = (down ? above : below).get(name)
        return near ? mean(near.map((other) => position.get(other) ?? 0)) : (position.get(name) ?? 0)
      }
      row.sort((a, b) => key(a) - key(b))
      for (const [i, { name }] of row.entries()) position.set(name, (i + 0.5) / row.length)
    }
    current = sorted
    if (countCrossings(current, links) < countCrossings(best, links)) best = current
  }
  return best
}

/** Each node's place in its row, from 0 to 1. @param {readonly Node[][]} rows */
const findPositions = (rows) =>
  new Map(rows.flatMap((row) => row.map(({ name }, i) => /** @type {const} */ ([name, (i + 0.5) / row.length]))))

/** @param {readonly Node[][]} rows @param {readonly Edge[]} links */
function countCrossings(rows, links) {
  const position = findPositions(rows)
  const level = new Map(rows.flatMap((row, i) => row.map(({ name }) => /** @type {const} */ ([name, i]))))
  /** @param {string} name */
  const at = (name) => position.get(name) ?? 0
  let count = 0
  for (const [i, a] of links.entries()) {
    for (const b of links.slice(i + 1)) {
      if (level.get(a.from) !== level.get(b.from)) continue
      if ((at(a.from) - at(b.from)) * (at(a.to) - at(b.to)) < 0) count++
    }
  }
  return count
}

/**
 * Gives every node an x near the mean of its neighbours' that keeps the row's order and gaps.
 * @param {Node[][]} rows
 * @param {readonly Edge[]} links
 */
function placeNodes(rows, links) {
  const { above, below } = findNeighbours(links)
  /** @type {Map<string, number>} */
  const x = new Map(rows.flatMap((row) => row.map(({ name }) => /** @type {const} */ ([name, 0]))))
  for (let sweep = 0; sweep < placeSweeps; sweep++) {
    for (const row of sweep % 2 === 0 ? rows : rows.toReversed()) {
      /** @type {number[]} */
      const wanted = []
      for (const { name } of row) {
        const near = [...(above.get(name) ?? []), ...(below.get(name) ?? [])]
        // A node without edges stays beside the one before it.
        wanted.push(near.length > 0 ? mean(near.map((other) => x.get(other) ?? 0)) : (wanted.at(-1) ?? 0))
      }
      for (const [i, value] of spreadApart(row, wanted).entries()) x.set(/** @type {Node} */ (row[i]).name, value)
    }
  }
  const left = Math.min(...rows.flat().map(({ name, width }) => (x.get(name) ?? 0) - width / 2))
  return new Map([...x].map(([name, value]) => [name, value - left]))
}

/**
 * The positions nearest to the wanted ones (least squares) in which neighbours keep their gap.
 * @param {readonly Node[]} row
 * @param {readonly number[]} wanted
 */
function spreadApart(row, wanted) {
  const offsets = [0]
  for (let i = 1; i < row.length; i++) {
    const [a, b] = [/** @type {Node} */ (row[i - 1]), /** @type {Node} */ (row[i])]
    offsets.push((offsets[i - 1] ?? 0) + (a.width + b.width) / 2 + gap)
  }
  // Less the offsets, positions must not decrease: pool neighbours that violate that (isotonic regression).
  /** @type {{ sum: number, count: number }[]} */
  const pools = []
  for (const [i, value] of wanted.entries()) {
    pools.push({ sum: value - (offsets[i] ?? 0), count: 1 })
    for (;;) {
      const [b, a] = [pools.at(-1), pools.at(-2)]
      if (!a || !b || a.sum / a.count <= b.sum / b.count) break
      pools.splice(-2, 2, { sum: a.sum + b.sum, count: a.count + b.count })
    }
  }
  return pools.flatMap(({ sum, count }) => Array(count).fill(sum / count)).map((value, i) => value + (offsets[i] ?? 0))
}
