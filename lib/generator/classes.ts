import { positive } from '../checks.js'
import { suggestion } from '../config.js'
import { outOfRange } from '../errors.js'
import type { GeneratorIdentity } from './folder.js'

type OneClass = number | string
/** A label or a class name, or several to cycle through. */
export type ClassChoice = OneClass | readonly OneClass[]

interface Request {
  count?: number
  classes?: ClassChoice
  firstIndex?: number
}

/**
 * Chooses the labels of samples firstIndex, …: the given classes in turn, or random ones; each depends on its sample's
 * number only.
 * @param uniform - draws one number in [0, 1) per row
 * @throws {RangeError} for an unknown class, suggesting the closest name
 */
export function drawClasses(
  { count, classes, firstIndex = 0 }: Request,
  { config, classNames }: GeneratorIdentity,
  uniform: (firstIndex: number, rows: number) => Float32Array
): Int32Array {
  const given = classes === undefined ? [] : [classes].flat()
  const chosen = given.map((one) => resolveLabel(one as OneClass, config.classes, classNames))
  const rows = count ?? Math.max(1, chosen.length)
  positive('count', rows)
  if (chosen.length > 0) {
    return Int32Array.from({ length: rows }, (_, i) => chosen[(firstIndex + i) % chosen.length] as number)
  }
  return Int32Array.from(uniform(firstIndex, rows), (draw) => Math.floor(draw * config.classes))
}

function resolveLabel(one: OneClass, classes: number, names: readonly string[] | null): number {
  if (typeof one === 'string') {
    const found = names?.indexOf(one) ?? -1
    if (found >= 0) return found
    const expected = names
      ? `the name of a class${suggestion(one, names)}`
      : 'a label, as this generator has no class names'
    throw outOfRange('classes', expected, one)
  }
  if (!Number.isInteger(one) || one < 0 || one >= classes) {
    throw outOfRange('classes', `labels from 0 to ${classes - 1}`, one)
  }
  return one
}
