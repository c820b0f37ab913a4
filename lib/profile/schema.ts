import { z } from 'zod'
import { natural, positive } from '../config.js'

/** Which steps of a run are profiled. */
export const profileSchema = z.strictObject({
  steps: positive.max(100).default(5).describe('steps to profile'),
  after: natural.default(3).describe('steps of warm-up before them')
})

export type ProfileConfig = z.output<typeof profileSchema>
export type ProfileInput = z.input<typeof profileSchema>
