// Finds LibTorch, or fetches it into the user cache.
import { libTorchCandidates } from '../lib/native/libtorch.mjs'
import { Failure } from './report.mjs'

/** @returns {Promise<string>} LibTorch's folder */
export async function findLibTorch() {
  const [candidate] = libTorchCandidates()
  if (!candidate.problem) return candidate.folder
  throw new Failure(`${candidate.folder} (from ${candidate.origin}) is no LibTorch: ${candidate.problem}`, [
    'LIBTORCH=<folder> names an unpacked LibTorch, or the torch folder of a Python installation'
  ])
}
