import { z } from 'zod'

/** Which steps of a call are profiled. */
export const profileSchema = z.strictObject({
  steps: z.number().int().positive().max(100).default(5).describe('steps that are profiled'),
  after: z.number().int().nonnegative().default(3).describe('steps before them, which warm up')
})

export type ProfileConfig = z.output<typeof profileSchema>
export type ProfileInput = z.input<typeof profileSchema>
