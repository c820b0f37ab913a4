import { z } from 'zod'

/** How the ranks of a job work together. Nothing of it changes what is computed. */
export const distributedSchema = z.strictObject({
  sharded: z
    .boolean()
    .default(false)
    .describe("divide the optimiser's moments and the average among the ranks, which saves memory"),
  timeout: z
    .number()
    .min(1)
    .max(86_400)
    .default(600)
    .describe('seconds after which a rank that is missing, silent or stuck ends the job')
})

export type DistributedConfig = z.output<typeof distributedSchema>
export type DistributedInput = z.input<typeof distributedSchema>
