import type sharp from 'sharp'

export type LoadedSharp = typeof sharp

let loaded: Promise<LoadedSharp> | undefined

/** Imports sharp when the first image needs it, so that `mactok --help` starts without it. */
export function loadSharp(): Promise<LoadedSharp> {
  loaded ??= import('sharp').then((module) => module.default)
  return loaded
}
