/** What GPUs can do, as their makers publish it: dense products, memory, and links to other GPUs. */

export interface Hardware {
  /** FLOP/s of products in bfloat16, TF32 and float32, without sparsity. */
  flops: { bf16: number; tf32: number; fp32: number }
  /** Bytes of memory. */
  memory: number
  /** Bytes per second of memory. */
  bandwidth: number
  /** Bytes per second that a GPU sends to the others of its machine, in one direction. */
  link: number
}

const tera = 1e12
const giga = 1e9

const gpu = (
  [bf16, tf32, fp32]: readonly [number, number, number],
  memory: number,
  bandwidth: number,
  link: number
): Hardware => ({
  flops: { bf16: bf16 * tera, tf32: tf32 * tera, fp32: fp32 * tera },
  memory: memory * giga,
  bandwidth: bandwidth * giga,
  link: link * giga
})

/** SXM modules where there are several, with NVLink; PCIe 4 × 16 for cards without it. */
export const gpus = {
  'a100-40': gpu([312, 156, 19.5], 40, 1555, 300),
  a100: gpu([312, 156, 19.5], 80, 2039, 300),
  h100: gpu([989, 494, 67], 80, 3350, 450),
  h200: gpu([989, 494, 67], 141, 4800, 450),
  b200: gpu([2250, 1100, 75], 180, 8000, 900),
  l40s: gpu([362, 183, 91.6], 48, 864, 25),
  'rtx-4090': gpu([165, 82.6, 82.6], 24, 1008, 25)
} as const satisfies Record<string, Hardware>

export type GpuName = keyof typeof gpus
