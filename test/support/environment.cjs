const { TestEnvironment } = require('jest-environment-node')

// jest runs tests in a realm of their own; Node and the native addon make their objects in the outer one.

/** Made by constructors only: the outer realm's serve both. */
const BUFFERS = [
  ...['ArrayBuffer', 'SharedArrayBuffer', 'DataView'],
  ...['Int8', 'Uint8', 'Uint8Clamped', 'Int16', 'Uint16', 'Int32', 'Uint32'].map((name) => `${name}Array`),
  ...['Float32', 'Float64', 'BigInt64', 'BigUint64'].map((name) => `${name}Array`)
]

/** Made by the language too: `instanceof` accepts either realm's. */
const LANGUAGE = [
  ...['', 'Type', 'Range', 'Syntax', 'Reference', 'Eval', 'URI', 'Aggregate'].map((name) => `${name}Error`),
  ...['Promise', 'Object', 'Array', 'Map', 'Set', 'Function', 'RegExp', 'Date']
]

const isInstance = Function.prototype[Symbol.hasInstance]

class OneRealmEnvironment extends TestEnvironment {
  /** @param {ConstructorParameters<typeof TestEnvironment>} args */
  constructor(...args) {
    super(...args)
    /** @type {Record<string, any>[]} */
    const [innerGlobal, outerGlobal] = [this.global, globalThis]
    for (const name of BUFFERS) innerGlobal[name] = outerGlobal[name]
    for (const name of LANGUAGE) {
      const inner = innerGlobal[name]
      const outer = outerGlobal[name]
      Object.defineProperty(inner, Symbol.hasInstance, {
        /** @param {unknown} value */
        value(value) {
          return isInstance.call(this, value) || (this === inner && isInstance.call(outer, value))
        }
      })
    }
  }
}

module.exports = OneRealmEnvironment
