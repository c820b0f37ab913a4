import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { Budget } from '../../lib/data/budget.js'

test('tasks run at once as far as the budget goes, in order, and a costly one alone', async () => {
  const budget = new Budget(10)
  const started: number[] = []
  let spent = 0
  let most = 0
  const costs = [4, 4, 4, 30, 1, 1, 9, 2]
  await Promise.all(
    costs.map((cost, i) =>
      budget.spend(cost, async () => {
        started.push(i)
        spent += Math.min(cost, 10)
        most = Math.max(most, spent)
        await sleep(5)
        spent -= Math.min(cost, 10)
      })
    )
  )
  expect(started).toEqual(costs.map((_, i) => i))
  expect([most, spent]).toEqual([10, 0])
})

test('what a failed task spent is free again', async () => {
  const budget = new Budget(1)
  await expect(budget.spend(1, async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await budget.spend(1, async () => 'yes')).toBe('yes')
})
