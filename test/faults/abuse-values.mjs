/** What the public API is called with: values that fit its types, and values that nobody should pass. */

import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { pick } from './place.mjs'

/** Thrown by what we pass in; callers get their own errors back. */
export class OwnError extends Error {}
const fail = () => {
  throw new OwnError('a caller failed')
}

/** @param {number} bytes */
function detached(bytes) {
  const array = new Float32Array(bytes / 4)
  new MessageChannel().port1.postMessage(null, [array.buffer])
  return array
}

/** A buffer that can change its length, which the types do not know yet. @type {any} */
const ResizableBuffer = ArrayBuffer

function outOfBounds() {
  const buffer = new ResizableBuffer(64, { maxByteLength: 128 })
  const array = new Float32Array(buffer, 32, 4)
  buffer.resize(16)
  return array
}

/** An object whose every property is `get`'s. @param {() => unknown} get */
const trap = (get) =>
  new Proxy(
    {},
    { get: (_, key) => (typeof key === 'symbol' ? undefined : get()), has: () => true, ownKeys: () => ['x'] }
  )

const circular = /** @type {any} */ ({})
circular.self = circular
const long = 'a'.repeat(100_000)
const deep = JSON.parse('['.repeat(5_000) + ']'.repeat(5_000))

/** Values of the wrong kind, made anew for each call. @type {readonly (() => unknown)[]} */
export const wrongValues = [
  ...[
    undefined,
    null,
    true,
    false,
    0,
    -0,
    -1,
    1,
    1.5,
    7,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY
  ].map((value) => () => value),
  ...[2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 63), 1e308, 0n, -1n, 2n ** 64n].map((value) => () => value),
  ...['', 'x', '\0', '../..', '__proto__', 'constructor', '7', 'NaN', '\ud800', long, Symbol('x')].map(
    (value) => () => value
  ),
  ...[
    [],
    [[]],
    [null],
    [-1],
    [1e9],
    [0],
    [Number.NaN],
    ['x'],
    [1, 2, 3],
    deep,
    circular,
    {},
    { '': 1 },
    { length: -1 },
    { length: 1e9 }
  ].map((value) => () => value),
  ...[
    () => {},
    fail,
    async () => fail(),
    class {},
    /x/,
    new Date(Number.NaN),
    new Map([[1, 1]]),
    new Set([1]),
    Object.create(null)
  ].map((value) => () => value),
  () => Promise.resolve(1),
  () => trap(fail),
  () => trap(() => 1e9),
  () => ({ toString: fail, valueOf: fail, [Symbol.toPrimitive]: fail }),
  () => ({ [Symbol.iterator]: fail }),
  () => ({ [Symbol.asyncIterator]: fail }),
  // biome-ignore lint/suspicious/noThenProperty: that is its point
  () => ({ then: fail }),
  () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  },
  () => new Array(3),
  () => new Float32Array(6),
  () => new Float32Array([Number.NaN, Number.POSITIVE_INFINITY]),
  () => new BigInt64Array(2),
  () => new Uint8Array(new SharedArrayBuffer(24)),
  () => new Float32Array(new SharedArrayBuffer(24)),
  () => new Float32Array(new ResizableBuffer(24, { maxByteLength: 48 })),
  () => detached(24),
  outOfBounds,
  () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(8),
  () => Buffer.from('x'),
  () => AbortSignal.abort(),
  () => AbortSignal.timeout(1)
]

/**
 * Values for a type.
 * @typedef {object} Kit
 * @property {string} place
 * @property {string} scratch
 * @property {Record<string, (() => unknown)[]>} instances by the class's name
 * @property {() => unknown} reenter calls something of the API again
 */

/** Names of parameters that are paths. */
const isPath = /path|file|folder|dir|out|data|source|run|shards|latents|reference|place/i

/**
 * @param {import('./surface.mjs').Parameter} parameter
 * @param {Kit} kit
 * @param {() => number} random
 * @param {number} [wrong] - how often a value is wrong
 * @returns {unknown}
 */
export function valueFor({ name, shape }, kit, random, wrong = 0) {
  const some = (/** @type {readonly any[]} */ items) => items[pick(random, items.length)]
  if (random() < wrong) return wrongFor(kit, random)
  const inner = (/** @type {string} */ key, /** @type {import('./surface.mjs').Shape} */ of) =>
    valueFor({ name: key, shape: of }, kit, random, wrong)
  if (shape.choices) return some(shape.choices)
  switch (shape.kind) {
    case 'text':
      if (name === 'device') return 'cpu'
      return isPath.test(name) ? some(paths(kit, random)) : some(['a', 'x.y', 'float32', 'tiny-32'])
    case 'number':
      return some([0, 1, 2, 3, 4, 8, 0.5])
    case 'flag':
      return random() < 0.5
    case 'function':
      return some([() => {}, (/** @type {unknown} */ first) => first, kit.reenter])
    case 'list':
      return Array.from({ length: pick(random, 4) }, () => inner(name, shape.element ?? { kind: 'number' }))
    case 'instance': {
      if (shape.name === 'AbortSignal') return some([AbortSignal.timeout(200), AbortSignal.timeout(pick(random, 50))])
      const made = kit.instances[/** @type {string} */ (shape.name)]
      return made ? some(made)() : some(wrongValues)()
    }
    case 'object': {
      const made = kit.instances[shape.name ?? '']
      if (made && random() < 0.7) return some(made)()
      const options = Object.entries(shape.options ?? {}).filter(() => random() < 0.4)
      const entries = options.map(([key, of]) => [key, inner(key, of)])
      if (shape.options?.signal && random() < 0.8) entries.push(['signal', AbortSignal.timeout(200)])
      return Object.fromEntries(entries)
    }
    default:
      return random() < 0.7 ? some(Object.values(kit.instances).flat())() : some(wrongValues)()
  }
}

/** @param {Kit} kit @param {() => number} random */
function wrongFor(kit, random) {
  const kinds = [
    () => /** @type {() => unknown} */ (wrongValues[pick(random, wrongValues.length)])(),
    () => {
      const all = Object.values(kit.instances).flat()
      return /** @type {() => unknown} */ (all[pick(random, all.length)])()
    },
    () => kit.reenter,
    () => ({
      get x() {
        return kit.reenter()
      }
    })
  ]
  return /** @type {() => unknown} */ (kinds[random() < 0.7 ? 0 : pick(random, kinds.length)])()
}

/** @param {Kit} kit @param {() => number} random */
const paths = ({ place, scratch }, random) => [
  ...['images', 'shards', 'run', 'images/class 0/0.png', 'run/checkpoints/step-0000060/model.safetensors'].map((name) =>
    join(place, name)
  ),
  join(scratch, `out ${pick(random, 1e6)}`),
  join(scratch, 'missing')
]
