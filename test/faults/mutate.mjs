/** Mutations of files, seeded. Those of numbers and of JSON keep the rest well-formed, so that many pass the first checks. */

import { pick } from './place.mjs'

const numbers = ['0', '-1', '1', '4294967296', '9007199254740993', '1e308', 'null', '[]', '{}', '""', '"7"', 'true']

/** @typedef {(bytes: Buffer, random: () => number) => Buffer} Mutation */

/** @type {Mutation} */
const flipBit = (bytes, random) => {
  const copy = Buffer.from(bytes)
  const bit = pick(random, copy.length * 8)
  copy[bit >> 3] = /** @type {number} */ (copy[bit >> 3]) ^ (1 << (bit & 7))
  return copy
}
/** @type {Mutation} */
const setInteger = (bytes, random) => {
  const copy = Buffer.from(bytes)
  const size = [1, 2, 4][pick(random, 3)] ?? 1
  if (copy.length < size) return copy
  const value = [0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), pick(random, 2 ** (8 * size))][pick(random, 5)] ?? 0
  copy.writeUIntLE(value, pick(random, copy.length - size + 1), size)
  return copy
}
/** @type {Mutation} */
const cut = (bytes, random) => bytes.subarray(0, pick(random, bytes.length))
/** @type {Mutation} */
const remove = (bytes, random) => {
  const [from, length] = [pick(random, bytes.length), 1 + pick(random, 64)]
  return Buffer.concat([bytes.subarray(0, from), bytes.subarray(from + length)])
}
/** @type {Mutation} */
const repeat = (bytes, random) => {
  const from = pick(random, bytes.length)
  const part = bytes.subarray(from, from + 1 + pick(random, 512))
  return Buffer.concat([bytes.subarray(0, from), part, part, bytes.subarray(from + part.length)])
}
/** Replaces a value of JSON; in a safetensors file its header's length follows. @type {Mutation} */
const setJsonValue = (bytes, random) => {
  const isSafetensors = bytes[8] === 0x7b
  const end = isSafetensors ? 8 + Number(bytes.readBigUInt64LE(0)) : bytes.length
  const start = isSafetensors ? 8 : 0
  const text = bytes.toString('latin1', start, end)
  const places = [...text.matchAll(/(?<=[:[,]\s*)(-?\d[\d.e+-]*|"[^"]*"|null|true|false)/g)]
  const found = places[pick(random, places.length)]
  if (!found || end > bytes.length) return flipBit(bytes, random)
  const value = /** @type {string} */ (numbers[pick(random, numbers.length)])
  const changed = Buffer.from(text.slice(0, found.index) + value + text.slice(found.index + found[0].length), 'latin1')
  if (!isSafetensors) return changed
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(changed.length))
  return Buffer.concat([length, changed, bytes.subarray(end)])
}

const mutations = [flipBit, setInteger, cut, remove, repeat, setJsonValue, setJsonValue]

/** One to three mutations. @type {Mutation} */
export function mutate(bytes, random) {
  let changed = bytes
  for (let left = 1 + pick(random, 3); left > 0 && changed.length > 0; left--) {
    changed = /** @type {Mutation} */ (mutations[pick(random, mutations.length)])(changed, random)
  }
  return changed
}
