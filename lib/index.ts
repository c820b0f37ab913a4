/** The public API. */

export { type AblationOptions, type AblationOutcome, type AblationProgress, runAblation } from './ablation/run.js'
export type { AblationConfig, AblationConfigInput } from './ablation/schema.js'
export { type Arm, ablationTables, armsOf } from './ablation/tables.js'
export type { Image } from './data/decode.js'
export { type ImageFolderOptions, imageFolder } from './data/image-folder.js'
export type { Ignored, ImageSet, ImageSource, Sample } from './data/image-set.js'
export { imageSource } from './data/image-source.js'
export type { RemoteOptions } from './data/open-bytes.js'
export { parquetImages } from './data/parquet.js'
export { webDataset } from './data/web-dataset.js'
export { type Launch, type LaunchOptions, type LaunchResult, launch } from './distributed/launch.js'
export { type Ranks, ranksFromEnvironment } from './distributed/ranks.js'
export type { DistributedInput } from './distributed/schema.js'
export { MactokError, type MactokErrorCode } from './errors.js'
export { estimateTraining, type TrainingEstimate } from './estimate/training.js'
export { Dinov2, type Dinov2Options } from './evaluation/dinov2.js'
export { frechetDistance, type Gaussian, Moments } from './evaluation/gaussian.js'
export { type DrawOptions, generatedImages } from './evaluation/generated-images.js'
export {
  evaluateGeneration,
  type GenerationEvaluation,
  type GenerationOptions,
  openReference,
  type Reference,
  type ReferenceOptions,
  referenceStatistics
} from './evaluation/generation.js'
export {
  type ImageBatch,
  type ImageStream,
  type ImageStreamOptions,
  openImages
} from './evaluation/image-stream.js'
export {
  Inception,
  type InceptionFeatures,
  type InceptionOptions
} from './evaluation/inception.js'
export { type KernelDistance, type KernelDistanceOptions, kernelDistance } from './evaluation/kernel-distance.js'
export {
  encodeSamples,
  type LatentSampleOptions,
  type LatentSamples,
  readSamples
} from './evaluation/latent-samples.js'
export { describeLatents, type LatentSpace, type LatentSpaceOptions } from './evaluation/latent-space.js'
export type { GenerationMetric, InceptionInput, ReconstructionMetric, SweepAxis } from './evaluation/metric-names.js'
export { type MutualInformation, mutualInformation, type Posteriors } from './evaluation/mutual-information.js'
export { loadNetworks, type NetworkOptions, type Networks } from './evaluation/networks.js'
export { type PrecisionRecall, type PrecisionRecallOptions, precisionRecall } from './evaluation/precision-recall.js'
export { type ProbeKind, type ProbeOptions, type ProbeResult, probe } from './evaluation/probe.js'
export {
  type EvaluateReconstructionOptions,
  evaluateReconstruction,
  type ReconstructionReport
} from './evaluation/reconstruction.js'
export { ssim } from './evaluation/ssim.js'
export {
  type Guidance,
  type Sweep,
  type SweepOptions,
  type SweepPoint,
  sweepGuidance
} from './evaluation/sweep.js'
export type { ClassChoice } from './generator/classes.js'
export {
  Generator,
  type GeneratorLoadOptions,
  type SampleOptions
} from './generator/generator.js'
export { type GeneratorPreset, generatorPresets } from './generator/presets.js'
export type { Samples, Sampling, SamplingStep } from './generator/samples.js'
export type { GuidanceInput, SamplingConfig, SamplingConfigInput } from './generator/sampling.js'
export { type GeneratorConfig, type GeneratorConfigInput, generatorSchema } from './generator/schema.js'
export { type ExportedWeights, type ExportLayout, exportWeights } from './interchange/export.js'
export { type ImportedWeights, importWeights } from './interchange/import.js'
export type { ImportLayout, ImportOptions } from './interchange/import-schema.js'
export { type ExportedOnnx, exportOnnx, type OnnxOptions } from './interchange/onnx/export.js'
export * from './latents/index.js'
export type { DeviceMemory, Precision } from './native/addon.js'
export { resolveDevice } from './native/device.js'
export { type DecodedShards, type DecodeShardsOptions, decodeShards } from './pipeline/decode.js'
export { type EncodedImages, type EncodeImagesOptions, encodeImages, verifyEncoding } from './pipeline/encode.js'
export { type Reconstructed, type ReconstructOptions, reconstruct } from './pipeline/reconstruct.js'
export { type SampledImages, type SampleImagesOptions, sampleImages } from './pipeline/sample.js'
export { type FromImagesOptions, fromImages, toImage, toImages, toPng } from './pipeline/tensor-images.js'
export { type LineChart, lineChart, type PlotPoint, type PlotRule, type PlotSeries } from './plot/line-chart.js'
export type { ProfileFiles } from './profile/recording.js'
export type { ProfileInput } from './profile/schema.js'
export { type CompareOptions, compareRuns } from './report/compare.js'
export type { ComparedRun, Comparison } from './report/comparison.js'
export { type Inspected, inspect } from './report/inspect.js'
export { type PushedModel, type PushOptions, pushModel } from './report/push.js'
export { type Report, type ReportOptions, writeReport } from './report/report.js'
export { Teacher, type TeacherFeatures, type TeacherOptions } from './teacher/teacher.js'
export type { DType, TypedArray, TypedArrays } from './tensor/dtype.js'
export type { Images } from './tensor/images.js'
export type {
  CloseOptions,
  InterpolateOptions,
  NormOptions,
  ReduceOptions,
  StdOptions
} from './tensor/operations.js'
export { scope } from './tensor/scope.js'
export type { Range, TensorIndex } from './tensor/shapes.js'
export {
  concatenate,
  deviceMemory,
  Expression,
  memory,
  type Operand,
  Operations,
  stack,
  Tensor,
  type TensorOptions,
  tensor
} from './tensor/tensor.js'
export { type TokenizerPreset, tokenizerPresets } from './tokenizer/presets.js'
export { type TokenizerConfig, type TokenizerConfigInput, tokenizerSchema } from './tokenizer/schema.js'
export {
  type CreateOptions,
  type EncodeOptions,
  type LoadOptions,
  type Posterior,
  Tokenizer
} from './tokenizer/tokenizer.js'
export { TrainingControl, type TrainingState } from './training/control.js'
export type { GeneratorEvents, GeneratorStepEvent } from './training/generator/events.js'
export type { GeneratorTrainingConfig, GeneratorTrainingInput } from './training/generator/schema.js'
export type { GeneratorRun } from './training/generator/training.js'
export { type GeneratorTraining, trainGenerator } from './training/generator/training.js'
export type { StepEvent, TrainingEvents } from './training/tokenizer/events.js'
export type { TrainingConfig, TrainingConfigInput } from './training/tokenizer/schema.js'
export type { TokenizerRun } from './training/tokenizer/training.js'
export { type TokenizerTraining, trainDecoder, trainTokenizer } from './training/tokenizer/training.js'
export { type LivePage, type ServeRunOptions, serveRun } from './ui/server.js'
export * from './weights/index.js'
