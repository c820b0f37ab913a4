// One image through three libraries: transformers.js prepares it, mactok encodes it, onnxruntime-node decodes it.
//   node examples/interchange/reconstruct.mjs <tokenizer> <image> [result.png]
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RawImage, ViTImageProcessor } from '@huggingface/transformers'
import { InferenceSession } from 'onnxruntime-node'
import { exportOnnx, scope, Tokenizer, toPng } from '../../dist/index.js'
import { fromOnnx, fromTransformers, toOnnx, toTransformers } from './tensors.mjs'

const [folder, image, out = 'reconstruction.png'] = process.argv.slice(2)
if (image === undefined) {
  console.error('Usage: node examples/interchange/reconstruct.mjs <tokenizer> <image> [result.png]')
  process.exit(2)
}

await scope(async () => {
  const tokenizer = await Tokenizer.load(folder)
  const side = tokenizer.config.imageSize

  // Bicubic (3), and [-1, 1].
  const processor = new ViTImageProcessor({
    do_resize: true,
    size: { width: side, height: side },
    resample: 3,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5]
  })
  const { pixel_values: pixels } = await processor([await RawImage.read(image)])
  const latents = await tokenizer.encode(fromTransformers(pixels))
  const decoded = await tokenizer.decode(latents)

  const graphs = await mkdtemp(join(tmpdir(), 'mactok-interchange-'))
  try {
    await exportOnnx(folder, { out: graphs })
    const decoder = await InferenceSession.create(join(graphs, 'decoder.onnx'), { logSeverityLevel: 3 })
    const results = await decoder.run({ latents: await toOnnx(latents) })
    await decoder.release()
    const reconstruction = fromOnnx(results.images)
    await writeFile(out, await toPng(reconstruction))
    const difference = await reconstruction.sub(decoded).abs().max().item()
    console.log(`${out}: within ${difference.toExponential(1)} of mactok's own decoder`)
  } finally {
    await rm(graphs, { recursive: true })
  }

  // Of the tokens, by transformers.js's own operations.
  const means = (await toTransformers(latents)).mean(1)
  const back = fromTransformers(means)
  console.log(
    `means by transformers.js [${means.dims}] equal ours: ${await back.allClose(latents.mean(1), { atol: 1e-6 })}`
  )
})
