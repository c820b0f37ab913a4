import { z } from 'zod'

/** Which steps of a run are profiled. */
export const profileSchema = z.strictObject({
  steps: z.number().int().positive().max(100).default(5).describe('steps to profile'),
  after: z.number().int().nonnegative().default(3).describe('steps of warm-up before them')
})

export type ProfileConfig = z.output<typeof profileSchema>
export type ProfileInput = z.input<typeof profileSchema>
