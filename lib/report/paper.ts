/** The paper's results (CVPR 2026; ImageNet, full training), which runs of the same presets are compared with. */

export interface PaperRow {
  /** Reconstruction FID of the tokenizer. */
  rfid: number
  /** FID and inception score of SiT-XL on its latents, guided. */
  gfid: number
  is: number
}

/** By tokenizer preset. */
export const paperRows: Record<string, PaperRow> = {
  'mactok-b-256-64': { rfid: 0.75, gfid: 1.58, is: 310.4 },
  'mactok-b-256-128': { rfid: 0.43, gfid: 1.44, is: 302.5 },
  'mactok-bl-512-64': { rfid: 0.89, gfid: 1.52, is: 306.0 },
  'mactok-b-512-128': { rfid: 0.79, gfid: 1.52, is: 316.0 }
}
