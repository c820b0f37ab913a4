/**
 * Edits of parsed files: of a tree of objects, arrays, texts, numbers and bytes, which a format writes again with right lengths and
 * checksums. So most inputs pass the first checks of a parser.
 */

import { pick } from './place.mjs'

/** Random choices. */
export class Choices {
  /** @param {() => number} random */
  constructor(random) {
    this.random = random
  }

  /** An integer in [0, below). @param {number} below */
  below(below) {
    return pick(this.random, below)
  }

  /** @template T @param {readonly T[]} items @returns {T} */
  of(items) {
    return /** @type {T} */ (items[this.below(items.length)])
  }
}

/** Text that a format writes as it is. */
export class Raw {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
}

const nested = (/** @type {number} */ depth) => new Raw('['.repeat(depth) + ']'.repeat(depth))
const numbers = [
  ...[0, 1, -1, 2, 3, 7, 8, 255, 256, 512, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40],
  ...[2 ** 53 - 1, 2 ** 53, 2 ** 63, 1e308, 0.5, -0.5, 1e-7, -(2 ** 31), -(2 ** 53)]
]
const words = [
  '',
  '7',
  'x',
  '__proto__',
  'constructor',
  'toString',
  'length',
  '../x',
  '/etc/passwd',
  'a/b',
  '.',
  'NaN',
  '\0',
  'é',
  '\ud800',
  'F32',
  'I64'
]
/** @type {readonly unknown[]} */
const others = [
  null,
  true,
  false,
  [],
  {},
  [null],
  [[]],
  [1, 2],
  { '': null },
  { length: 1e9 },
  { toString: null, valueOf: null },
  nested(100),
  nested(20_000),
  'a'.repeat(3_000)
]
const values = [...numbers, ...words, ...others]
/** One of the values, a copy, as later edits may change it. @param {Choices} choices */
const anyValue = (choices) => copyTree(choices.of(values))

/** @typedef {{ holder: any, key: string | number }} Place a value's place in a tree */

/** All places of a tree below its root. @param {unknown} root @returns {Place[]} */
function placesIn(root) {
  /** @type {Place[]} */
  const places = []
  const visit = (/** @type {unknown} */ value) => {
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || value instanceof Raw) return
    for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
      places.push({ holder: value, key })
      visit(/** @type {any} */ (value)[key])
    }
  }
  visit(root)
  return places
}

/** A copy of a tree; bytes are shared, because edits replace them. @param {any} value @returns {any} */
export function copyTree(value) {
  if (Array.isArray(value)) return value.map(copyTree)
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || value instanceof Raw) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copyTree(each)]))
}

/**
 * Whether a tree has more than so many levels. Edits may double them, where a format leaves out what it does not know and so does not
 * get larger. @param {unknown} tree @param {number} [levels] @returns {boolean}
 */
export function isDeep(tree, levels = 100) {
  if (typeof tree !== 'object' || tree === null || Buffer.isBuffer(tree) || tree instanceof Raw) return false
  return levels === 0 || Object.values(tree).some((each) => isDeep(each, levels - 1))
}

/** Sets a property, `__proto__` included. @param {any} holder @param {string} key @param {unknown} value */
const put = (holder, key, value) =>
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true })

const isList = (/** @type {Place} */ { holder }) => Array.isArray(holder)

/** @typedef {(place: Place, choices: Choices, places: Place[]) => void} Edit */

/** @type {Edit} */
const replace = ({ holder, key }, choices) => {
  const value = holder[key]
  if (Buffer.isBuffer(value)) holder[key] = damage(value, choices)
  else if (typeof value === 'number')
    holder[key] = choices.of([value + 1, value - 1, value * 2, -value, choices.of(numbers)])
  else if (typeof value === 'string') holder[key] = editText(value, choices)
  else holder[key] = anyValue(choices)
}
/** @type {Edit} */
const retype = ({ holder, key }, choices) => {
  if (!Buffer.isBuffer(holder[key])) holder[key] = anyValue(choices)
}
/** @type {Edit} */
const remove = (place) => {
  if (isList(place)) place.holder.splice(place.key, 1)
  else delete place.holder[place.key]
}
/** @type {Edit} */
const repeat = (place, choices) => {
  const value = copyTree(place.holder[place.key])
  if (isList(place)) place.holder.splice(Number(place.key), 0, value)
  else put(place.holder, choices.of(words), value)
}
/** @type {Edit} */
const rename = (place, choices) => {
  if (isList(place)) return
  const value = place.holder[place.key]
  delete place.holder[place.key]
  put(place.holder, editText(String(place.key), choices), value)
}
/** Takes the value of another place. @type {Edit} */
const borrow = ({ holder, key }, choices, places) => {
  const other = choices.of(places)
  const value = other.holder[other.key]
  if (Buffer.isBuffer(value) === Buffer.isBuffer(holder[key])) holder[key] = copyTree(value)
}

const edits = [replace, replace, replace, retype, remove, repeat, rename, borrow]

/** Changes a character, a number or a part of a text. @param {string} text @param {Choices} choices */
function editText(text, choices) {
  const at = choices.below(text.length + 1)
  switch (choices.below(5)) {
    case 0:
      return /** @type {string} */ (choices.of(words))
    case 1:
      return text.slice(0, at) + String.fromCharCode(choices.below(128)) + text.slice(at + choices.below(2))
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + choices.below(8))
    case 3:
      return text.slice(0, at) + text.slice(at, at + 8).repeat(2) + text.slice(at + 8)
    default: {
      const found = [...text.matchAll(/-?\d+/g)]
      const number = choices.of(found)
      if (!number) return text + choices.of(words)
      return text.slice(0, number.index) + choices.of(numbers) + text.slice(number.index + number[0].length)
    }
  }
}

/** Changes bits, integers and parts of bytes. @param {Buffer} bytes @param {Choices} choices @returns {Buffer} */
export function damage(bytes, choices) {
  const kind = choices.below(6)
  const at = choices.below(bytes.length)
  const part = (/** @type {number} */ from, /** @type {number} */ to) => bytes.subarray(from, Math.max(from, to))
  if (kind === 0) return part(0, at)
  if (kind === 1) return Buffer.concat([part(0, at), part(at + 1 + choices.below(64), bytes.length)])
  if (kind === 2) return Buffer.concat([part(0, at + 1 + choices.below(64)), part(at, bytes.length)])
  const copy = Buffer.from(bytes)
  const size = choices.of([1, 1, 2, 4, 8])
  if (copy.length < at + size) return copy
  if (kind === 3) copy[at] = /** @type {number} */ (copy[at]) ^ (1 << choices.below(8))
  else if (kind === 4) copy[at] = choices.below(256)
  else {
    const value = choices.of([
      0n,
      1n,
      0x7fn,
      2n ** BigInt(8 * size - 1),
      2n ** BigInt(8 * size) - 1n,
      BigInt(choices.below(65_536))
    ])
    for (let i = 0; i < size; i++) copy[at + i] = Number((value >> BigInt(8 * i)) & 255n)
  }
  return copy
}

/** Makes one to four edits of a copy of a tree. @param {unknown} tree @param {Choices} choices @returns {any} */
export function edit(tree, choices) {
  const root = { tree: copyTree(tree) }
  for (let left = 1 + choices.below(4); left > 0; left--) {
    const places = placesIn(root)
    if (places.length > 0) choices.of(edits)(choices.of(places), choices, places)
  }
  return root.tree
}
