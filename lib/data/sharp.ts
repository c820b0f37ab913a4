import type sharp from 'sharp'

export type LoadedSharp = typeof sharp

let loaded: Promise<LoadedSharp> | undefined

/** sharp, loaded when the first image needs it: `mactok --help` starts without it. */
export function loadSharp(): Promise<LoadedSharp> {
  loaded ??= import('sharp').then((module) => module.default)
  return loaded
}
