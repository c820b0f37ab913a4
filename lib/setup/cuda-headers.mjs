// Finds the headers of CUDA that compiling native/cuda needs, or fetches them.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cudaVersion } from '../native/libtorch.mjs'
import { hasCuda, wantsCuda } from './cuda.mjs'
import { fetchCudaHeaders, pinnedCuda } from './libtorch.mjs'
import { Failure, say } from './report.mjs'

/**
 * The folder of CUDA's headers for building libmactok_cuda, which needs no CUDA toolkit; undefined where no CUDA will be used.
 * Headers that are missing and cannot be fetched are an error only with `required`: everything else works without that library.
 * @param {string} libtorch
 * @param {{ required?: boolean }} [options]
 */
export async function cudaHeaders(libtorch, { required = false } = {}) {
  if (!required && (process.platform !== 'linux' || process.env.MACTOK_CUDA === '0')) return undefined
  if (!required && !wantsCuda() && !hasCuda(libtorch)) return undefined
  try {
    return await findCudaHeaders(libtorch)
  } catch (error) {
    if (required || !(error instanceof Failure)) throw error
    say(`libmactok_cuda is not built, so there are no CUDA graphs and copies block: ${error.message}`)
    return undefined
  }
}

/**
 * Looks in `CUDA_HOME`, beside LibTorch (where pip puts the packages that it depends on), in /usr/local and in the cache; else fetches.
 * @param {string} libtorch
 */
async function findCudaHeaders(libtorch) {
  const wanted = cudaVersion(libtorch)
  const places = [
    ...['CUDA_HOME', 'CUDA_PATH'].flatMap((name) => (process.env[name] ? join(process.env[name], 'include') : [])),
    ...['cu13', 'cuda_runtime'].map((name) => join(libtorch, '..', 'nvidia', name, 'include')),
    '/usr/local/cuda/include'
  ]
  const found = places.find((folder) => headersVersion(folder) === (wanted ?? pinnedCuda()))
  if (found) return found
  if (!wanted || wanted === pinnedCuda()) return await fetchCudaHeaders()
  throw new Failure(`No headers of CUDA ${wanted}, which LibTorch in ${libtorch} was built with`, [
    `python3 -m pip install nvidia-cuda-runtime-cu${wanted} puts them beside it`,
    'or CUDA_HOME=<folder> names a CUDA toolkit'
  ])
}

/**
 * The major version of CUDA of a folder of headers that suffices for native/cuda; undefined for any other folder.
 * @param {string} folder
 */
export function headersVersion(folder) {
  const path = join(folder, 'cuda_runtime_api.h')
  if (!existsSync(path) || !existsSync(join(folder, 'crt', 'host_defines.h'))) return undefined
  const version = readFileSync(path, 'utf8').match(/define\s+CUDART_VERSION\s+(\d+)\d{3}\b/)
  return version ? Number(version[1]) : undefined
}
