// Encodes and decodes a dropped image with the graphs of `mactok weights export --layout onnx`, in this page alone.
import * as ort from '/ort/ort.wasm.min.mjs'

ort.env.wasm.wasmPaths = '/ort/'
// In a worker: the page stays responsive.
ort.env.wasm.proxy = true

const element = (id) => document.getElementById(id)
const load = (name) => ort.InferenceSession.create(`/graphs/${name}.onnx`)
const [encoder, decoder] = await Promise.all([load('encoder'), load('decoder')])
const [, , size] = encoder.inputMetadata[0].shape
const [, tokens, channels] = encoder.outputMetadata[0].shape
const contexts = ['original', 'reconstruction'].map((id) => {
  const canvas = element(id)
  canvas.width = canvas.height = size
  return canvas.getContext('2d', { willReadFrequently: true })
})
const [original, reconstruction] = contexts

/** Draws the largest square in the middle. */
async function draw(file) {
  const bitmap = await createImageBitmap(file)
  const side = Math.min(bitmap.width, bitmap.height)
  const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2]
  original.imageSmoothingQuality = 'high'
  // Transparent pixels would show the image before.
  original.clearRect(0, 0, size, size)
  original.drawImage(bitmap, x, y, side, side, 0, 0, size, size)
}

/** Pixels as float32 [1, 3, H, W] in [-1, 1]. */
function toTensor({ data }) {
  const area = size * size
  const planes = Float32Array.from({ length: 3 * area }, (_, i) => data[4 * (i % area) + Math.floor(i / area)] / 127.5 - 1)
  return new ort.Tensor('float32', planes, [1, 3, size, size])
}

/** The way back, on 256 levels. */
function toPixels({ data }) {
  const area = size * size
  const level = (i, channel) => (channel === 3 ? 255 : Math.round((data[channel * area + i] + 1) * 127.5))
  return new ImageData(Uint8ClampedArray.from({ length: 4 * area }, (_, i) => level(i >> 2, i & 3)), size, size)
}

async function reconstruct(file) {
  element('status').textContent = 'Encoding and decoding …'
  try {
    await draw(file)
    const start = performance.now()
    const { mean } = await encoder.run({ images: toTensor(original.getImageData(0, 0, size, size)) })
    const encoded = performance.now()
    const { images } = await decoder.run({ latents: mean })
    const decoded = performance.now()
    reconstruction.putImageData(toPixels(images), 0, 0)
    const [encoding, decoding] = [encoded - start, decoded - encoded].map((time) => `${time.toFixed(0)} ms`)
    element('status').textContent = `Encoded in ${encoding}, decoded in ${decoding}.`
  } catch (error) {
    element('status').textContent = `This image cannot be shown: ${error.message}`
  }
}

const drop = element('drop')
for (const name of ['dragover', 'dragleave', 'drop']) {
  drop.addEventListener(name, (event) => {
    event.preventDefault()
    drop.classList.toggle('over', name === 'dragover')
    const [file] = name === 'drop' ? event.dataTransfer.files : []
    if (file) reconstruct(file)
  })
}
element('file').addEventListener('change', ({ target }) => {
  if (target.files[0]) reconstruct(target.files[0])
})
element('about').textContent =
  `${size} × ${size} pixels become ${tokens} tokens of ${channels} numbers, and an image again. Nothing leaves this page.`
element('file').disabled = false
