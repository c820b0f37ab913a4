/** Latent shards in LightningDiT's layout: write, read, normalise. */

export type { LatentDtype, LatentPlan, Manifest, ShardRecord, SkippedSample } from './manifest.js'
export { type LatentRows, LatentShards, openLatents, type RowOptions } from './reader.js'
export { LatentStatistics, type LatentStatisticsFile, type SampleShape } from './statistics.js'
export { type LatentBatch, LatentWriter, openLatentWriter, type ShardRange, type ShardWriter } from './writer.js'
