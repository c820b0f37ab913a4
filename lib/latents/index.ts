/** Latent shards in LightningDiT's layout: write, read, normalise. */

export type { LatentDtype, LatentPlan, Manifest, ShardRecord, SkippedSample } from './manifest.js'
export { type LatentRows, LatentShards, openLatents, type RowOptions } from './reader.js'
export type { LatentBatch, ShardRange, ShardWriter } from './shard-writer.js'
export { LatentStatistics, type LatentStatisticsFile, type SampleShape } from './statistics.js'
export type { ShardProblem } from './summary.js'
export {
  type FinishedLatents,
  LatentWriter,
  type LatentWriterOptions,
  openLatentWriter
} from './writer.js'
