/** The native addon as JavaScript sees it, by subject in types/. Nothing here is public API. */

import type { DistributedFunctions } from './types/distributed.js'
import type { EvaluationFunctions } from './types/evaluation.js'
import type { FileFunctions } from './types/files.js'
import type { GeneratorFunctions } from './types/generator.js'
import type { SystemFunctions } from './types/system.js'
import type { TensorFunctions } from './types/tensor.js'
import type { TokenizerFunctions } from './types/tokenizer.js'
import type { TokenizerTrainingFunctions } from './types/tokenizer-training.js'

export type * from './types/distributed.js'
export type * from './types/evaluation.js'
export type * from './types/files.js'
export type * from './types/generator.js'
export type * from './types/system.js'
export type * from './types/tensor.js'
export type * from './types/tokenizer.js'
export type * from './types/tokenizer-training.js'

/** What `lib/` calls; native/bindings/exports.cpp defines it. */
export interface Addon
  extends SystemFunctions,
    TensorFunctions,
    FileFunctions,
    TokenizerFunctions,
    TokenizerTrainingFunctions,
    GeneratorFunctions,
    DistributedFunctions,
    EvaluationFunctions {}
