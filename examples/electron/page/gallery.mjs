// Images on canvases.

/** @import { Gallery, Pixels } from '../protocol.ts' */

/** @param {Pixels | null} pixels null: an empty place @param {number} size @param {string} label */
function draw(pixels, size, label) {
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = size
  canvas.role = 'img'
  canvas.ariaLabel = label
  if (pixels) canvas.getContext('2d')?.putImageData(new ImageData(pixels, size, size), 0, 0)
  return canvas
}

/** The image with its hidden patches in grey. @param {Pixels} pixels @param {Uint8Array} mask @param {number} size */
function hide(pixels, mask, size) {
  const grid = Math.sqrt(mask.length)
  const patch = size / grid
  const masked = pixels.slice()
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (mask[Math.floor(y / patch) * grid + Math.floor(x / patch)] === 0) continue
      masked.fill(128, (y * size + x) * 4, (y * size + x) * 4 + 3)
    }
  }
  return masked
}

/** @param {HTMLElement} element @param {Gallery} gallery */
export function showGallery(element, { size, originals, masks, reconstructions, psnr }) {
  const figures = originals.map((original, i) => {
    const figure = document.createElement('figure')
    const row = document.createElement('div')
    row.append(
      draw(original, size, `Image ${i + 1}`),
      draw(hide(original, masks[i], size), size, `Image ${i + 1}, masked`),
      draw(
        reconstructions?.[i] ?? null,
        size,
        `Image ${i + 1}, ${reconstructions ? 'reconstructed' : 'not yet reconstructed'}`
      )
    )
    const caption = document.createElement('figcaption')
    caption.textContent = psnr ? `${psnr[i].toFixed(1)} dB` : 'no tokenizer yet'
    figure.append(row, caption)
    return figure
  })
  element.replaceChildren(...figures)
}

/** @param {HTMLElement} element @param {Pixels[]} images @param {number} size */
export function showSamples(element, images, size) {
  element.replaceChildren(...images.map((image, i) => draw(image, size, `Sample ${i + 1}`)))
}
