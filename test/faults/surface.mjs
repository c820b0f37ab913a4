/** The public API as its types declare it: functions, classes, methods, parameters, options. Asked of TypeScript's checker. */

import { fileURLToPath } from 'node:url'
import { SyntaxKind } from 'typescript/unstable/ast'
import { API, SignatureKind, SymbolFlags, TypeFlags } from 'typescript/unstable/sync'

/**
 * @typedef {object} Shape what a parameter or option takes
 * @property {'text' | 'number' | 'flag' | 'function' | 'list' | 'object' | 'instance' | 'any'} kind
 * @property {readonly (string | number)[]} [choices] - literals among which to choose
 * @property {string} [name] - the type's, of an instance
 * @property {Shape} [element] - of a list
 * @property {Record<string, Shape>} [options] - of an object
 */
/** @typedef {{ name: string, shape: Shape }} Parameter */
/** @typedef {{ owner: string | null, name: string, kind: 'function' | 'constructor' | 'static' | 'method' | 'property', parameters: Parameter[] }} Member */

/** Options of options are followed this far. */
const deepest = 3

/** @returns {Member[]} */
export function publicMembers() {
  const config = fileURLToPath(new URL('../../tsconfig.json', import.meta.url))
  const api = new API({ cwd: fileURLToPath(new URL('../..', import.meta.url)) })
  try {
    const snapshot = api.updateSnapshot({ openProjects: [config] })
    const project = /** @type {import('typescript/unstable/sync').Project} */ (
      snapshot.getProject(config) ?? snapshot.getProjects()[0]
    )
    return list(project)
  } finally {
    api.close()
  }
}

/** @param {import('typescript/unstable/sync').Project} project @returns {Member[]} */
function list({ program, checker }) {
  const source = program.getSourceFile(fileURLToPath(new URL('../../lib/index.ts', import.meta.url)))
  if (!source) throw new Error('lib/index.ts is not in the project')
  const module_ = checker.getSymbolAtLocation(source)
  if (!module_) throw new Error('lib/index.ts exports nothing')

  /** @param {any} type @param {number} depth @returns {Shape} */
  const shapeOf = (type, depth) => {
    const whole = checker.getNonNullableType(type) ?? type
    const parts = whole.isUnionType() ? (whole.getTypes() ?? []) : [whole]
    const choices = parts
      .filter((/** @type {any} */ part) => part.isStringLiteralType() || part.isNumberLiteralType())
      .map((/** @type {any} */ part) => part.value)
    if (choices.length > 0) return { kind: typeof choices[0] === 'number' ? 'number' : 'text', choices }
    // Of several kinds the richest: objects have options.
    const one = parts.find((/** @type {any} */ part) => part.flags & TypeFlags.Object) ?? parts[0]
    if (one.flags & TypeFlags.StringLike) return { kind: 'text' }
    if (one.flags & TypeFlags.NumberLike) return { kind: 'number' }
    if (one.flags & TypeFlags.BooleanLike) return { kind: 'flag' }
    if (!(one.flags & TypeFlags.Object)) return { kind: 'any' }
    if (checker.isArrayLikeType(one)) {
      const [element] = checker.getTypeArguments(one)
      return { kind: 'list', ...(element && depth > 0 && { element: shapeOf(element, depth - 1) }) }
    }
    if (checker.getSignaturesOfType(one, SignatureKind.Call).length > 0) return { kind: 'function' }
    const name = one.getSymbol()?.name
    if (name && one.getSymbol().flags & SymbolFlags.Class) return { kind: 'instance', name }
    if (
      name &&
      /^(\w+Array|ArrayBuffer|AbortSignal|Map|ReadonlyMap|Iterable|AsyncIterable|Promise|Error|URL|ArrayLike)$/.test(
        name
      )
    )
      return { kind: 'instance', name }
    const properties = depth > 0 ? checker.getPropertiesOfType(one) : []
    const options = Object.fromEntries(
      properties.map((property) => [property.name, shapeOf(checker.getTypeOfSymbol(property), depth - 1)])
    )
    return { kind: 'object', ...(name && { name }), options }
  }
  /** @param {any} type @param {any} kind @returns {Parameter[] | null} */
  const parametersOf = (type, kind) => {
    const [signature] = checker.getSignaturesOfType(type, kind)
    if (!signature || isPrivate(signature.declaration)) return null
    return signature
      .getParameters()
      .map((parameter) => ({ name: parameter.name, shape: shapeOf(checker.getTypeOfSymbol(parameter), deepest) }))
  }
  /** @type {Member[]} */
  const members = []
  /** @param {import('typescript/unstable/sync').NodeHandle | undefined} declaration */
  const isPrivate = (declaration) =>
    /** @type {any} */ (declaration?.resolve())?.modifiers?.some((/** @type {{ kind: number }} */ { kind }) =>
      [SyntaxKind.PrivateKeyword, SyntaxKind.ProtectedKeyword].includes(kind)
    ) ?? false
  const isInternal = (/** @type {import('typescript/unstable/sync').Symbol} */ symbol) =>
    symbol.getJsDocTags(checker).some(({ name }) => name === 'internal') || isPrivate(symbol.valueDeclaration)
  const isOurs = (/** @type {string} */ name) => !/^(prototype|__)/.test(name)
  for (const exported of checker.getExportsOfModule(module_)) {
    const symbol = exported.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
    const { name } = exported
    if (symbol.flags & SymbolFlags.Class) {
      const type = checker.getTypeOfSymbol(symbol)
      const made = parametersOf(type, SignatureKind.Construct)
      if (made) members.push({ owner: null, name, kind: 'constructor', parameters: made })
      for (const property of type ? checker.getPropertiesOfType(type) : []) {
        const parameters =
          isOurs(property.name) &&
          !isInternal(property) &&
          parametersOf(checker.getTypeOfSymbol(property), SignatureKind.Call)
        if (parameters) members.push({ owner: name, name: property.name, kind: 'static', parameters })
      }
      for (const property of checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))) {
        if (!isOurs(property.name) || isInternal(property)) continue
        const parameters = parametersOf(checker.getTypeOfSymbol(property), SignatureKind.Call)
        members.push({
          owner: name,
          name: property.name,
          kind: parameters ? 'method' : 'property',
          parameters: parameters ?? []
        })
      }
    } else if (symbol.flags & SymbolFlags.Function) {
      const parameters = parametersOf(checker.getTypeOfSymbol(symbol), SignatureKind.Call)
      if (parameters) members.push({ owner: null, name, kind: 'function', parameters })
    }
  }
  return members
}
