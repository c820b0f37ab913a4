import { openLatentWriter } from '../../lib/latents/index.js'
import { native } from './native.js'

/**
 * Shards of `count` samples [tokens, channels] of two classes, `left` around −2 and `right` around 3; the mirrored latents are the
 * negated ones. All are multiplied by `scale`.
 */
export async function twoClassShards(
  folder: string,
  { count = 64, tokens = 4, channels = 3, tokenizer = 'nobody', shardSize = 24, scale = 1 } = {}
): Promise<string> {
  const size = tokens * channels
  const noise = native().normal(1, 'test/shards', 0, 0, count, size)
  const labels = Array.from({ length: count }, (_, i) => i % 2)
  const values = noise.map((value, i) => scale * (0.5 * value + (Math.floor(i / size) % 2 ? 3 : -2)))
  const writer = await openLatentWriter(folder, {
    names: labels.map((label, i) => `${label ? 'right' : 'left'}/${i}.png`),
    labels,
    classes: ['left', 'right'],
    shape: [tokens, channels] as const,
    dtype: 'float32' as const,
    moments: false,
    shardSize,
    tokenizer
  })
  for (const range of writer.missingShards()) {
    const shard = writer.startShard(range)
    const latents = values.slice(range.first * size, range.end * size)
    const indices = Array.from({ length: range.end - range.first }, (_, i) => range.first + i)
    shard.add({ indices, latents, latentsFlip: latents.map((value) => -value) })
    await shard.commit()
  }
  await writer.finish()
  return folder
}
