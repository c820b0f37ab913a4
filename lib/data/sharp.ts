import { createRequire } from 'node:module'
import type sharp from 'sharp'

export type LoadedSharp = typeof sharp

let loaded: Promise<LoadedSharp> | undefined

/** Imports sharp when the first image needs it, so that `mactok --help` starts without it. */
export function loadSharp(): Promise<LoadedSharp> {
  loaded ??= importSharp()
  return loaded
}

async function importSharp(): Promise<LoadedSharp> {
  if (process.platform === 'linux' && 'electron' in process.versions) preferWebAssembly()
  return (await import('sharp')).default
}

/**
 * Makes sharp take its WebAssembly build where that is installed, which decodes the same pixels. Electron on Linux loads the system's
 * GLib, whose functions then answer for those inside sharp's own binary: it floods the log, and crashes (lovell/sharp#4522, #4525).
 */
function preferWebAssembly(): void {
  const require = createRequire(createRequire(import.meta.url).resolve('sharp'))
  if (!isInstalled(require, '@img/sharp-wasm32/sharp.node')) return
  for (const libc of ['linux', 'linuxmusl']) {
    const binary = `@img/sharp-${libc}-${process.arch}/sharp.node`
    if (isInstalled(require, binary)) require.cache[require.resolve(binary)] = refused(binary)
  }
}

function isInstalled(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(name)
    return true
  } catch {
    return false
  }
}

/** A module that fails to load: sharp then tries its WebAssembly build. */
const refused = (name: string) =>
  ({
    loaded: true,
    get exports(): never {
      throw new Error(`${name} is not loaded into Electron on Linux`)
    }
  }) as unknown as NodeJS.Module
