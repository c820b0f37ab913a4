import type sharp from 'sharp'

let loaded: Promise<typeof sharp> | undefined

/** sharp, loaded when the first picture needs it: `mactok --help` starts without it. */
export function loadSharp(): Promise<typeof sharp> {
  loaded ??= import('sharp').then((module) => module.default)
  return loaded
}
