/**
 * Weights: safetensors files, foreign checkpoints, the Hugging Face hub. Only reading files of `torch.save` loads
 * LibTorch.
 */

export { cacheFolder } from '../files/cache.mjs'
export {
  type Dinov2Checkpoint,
  type Dinov2Config,
  type Dinov2Layout,
  detectDinov2,
  dinov2Config,
  mapDinov2,
  openDinov2
} from './dinov2.js'
export { fromFloat32, toFloat32, type WeightDtype } from './dtype.js'
export type { TensorInfo } from './header.js'
export { type DownloadProgress, type PulledWeights, type PullOptions, pullWeights } from './hub.js'
export { findWeights, locateWeights } from './locate.js'
export { detectLpips, type LpipsCheckpoint, type LpipsNetwork, mapLpips, openLpips } from './lpips.js'
export { readSafetensors, SafetensorsFile } from './reader.js'
export { fileWeights, type Weights, type WeightTensor } from './tensors.js'
export type { UploadProgress } from './upload.js'
export { openWeightsFile, type WeightsFile } from './weights-file.js'
export { type TensorData, writeSafetensors } from './writer.js'
