/** What the blocks of TypeScript in README and docs/ use without making it. */

import type { Generator as MactokGenerator, Tensor, Tokenizer } from 'mactok'

declare global {
  const images: Tensor<'uint8'>
  const tokenizer: Tokenizer
  const generator: MactokGenerator
  function show(step: number, images: Tensor<'float32'> | null): void
}
