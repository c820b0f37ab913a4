/** Whether a resumed run still sees the data that it began with. */

import { createHash } from 'node:crypto'
import { withoutSecrets } from '../files/address.js'

/** A hash of the names of all samples in their order: the same wherever the samples lie. */
export function hashNames(names: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const name of names) hash.update(name).update('\0')
  return hash.digest('hex')
}

type Data = Record<string, unknown>

/** Where data lies may change. */
const isPlace = (name: string) => /^from$|From$/.test(name)
const isHash = (name: string) => /listing$/i.test(name)

/** `from photos (images 8, heldOut 0)` */
function describe(data: Data): string {
  const counts = Object.entries(data).filter(([name]) => !isPlace(name) && !isHash(name))
  const places = Object.entries(data).filter(
    ([name, value]) => isPlace(name) && name !== 'tokenizerFrom' && value !== null
  )
  const list = counts.map(([name, value]) => `${name} ${value}`).join(', ')
  return `from ${places.map(([, place]) => withoutSecrets(place as string)).join(' and ')} (${list})`
}

/**
 * Describes how the data of a run, as recorded in `run.json`, differ from those at hand; null where they do not. What an older record does
 * not hold is not compared.
 */
export function findDataChange(recorded: object, present: object): string | null {
  const [there, here] = [recorded, present] as Data[] as [Data, Data]
  const changed = Object.keys(there).filter((name) => !isPlace(name) && name in here && there[name] !== here[name])
  if (changed.length === 0) return null
  const names = changed.every(isHash) ? ', of other names' : ''
  return `${describe(there)} before, ${describe(here)} now${names}`
}
