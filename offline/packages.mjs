// Which npm packages some packages need, by package-lock.json.

/** @typedef {Record<string, { dependencies?: Record<string, string>, optionalDependencies?: Record<string, string>, peerDependencies?: Record<string, string> }>} Packages */

/**
 * Their folders and those of everything that they depend on.
 * @param {Packages} lock `packages` of package-lock.json
 * @param {string[]} names
 */
export function packagesFor(lock, names) {
  /** @type {Set<string>} */
  const found = new Set()
  /** @param {string} path */
  function visit(path) {
    if (found.has(path)) return
    found.add(path)
    const { dependencies, optionalDependencies, peerDependencies } = lock[path]
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const at = locate(lock, path, name)
      if (at) visit(at)
    }
  }
  for (const name of names) {
    const at = locate(lock, '', name)
    if (!at) throw new Error(`package-lock.json has no ${name}`)
    visit(at)
  }
  return [...found].sort()
}

/**
 * As Node looks for it: in the package's own node_modules, then in those above.
 * @param {Packages} lock @param {string} from @param {string} name
 * @returns {string | undefined}
 */
function locate(lock, from, name) {
  const path = `${from ? `${from}/` : ''}node_modules/${name}`
  if (lock[path]) return path
  if (!from) return undefined
  return locate(lock, from.slice(0, Math.max(0, from.lastIndexOf('/node_modules/'))) , name)
}
