/** What can be measured, by name. */

/** Of reconstructions, besides PSNR, active units and KL, which cost nothing. */
export const reconstructionMetrics = ['ssim', 'lpips', 'rfid'] as const
export type ReconstructionMetric = (typeof reconstructionMetrics)[number]

/** Of generated images; `is`: the Inception score. */
export const generationMetrics = ['fid', 'sfid', 'is', 'precision', 'recall'] as const
export type GenerationMetric = (typeof generationMetrics)[number]
