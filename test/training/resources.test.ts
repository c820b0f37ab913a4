import { describe, expect, test } from '@jest/globals'
import { Resources } from '../../lib/training/resources.js'

describe('resources', () => {
  const closed: string[] = []
  const resource = (name: string) => ({ [Symbol.dispose]: () => void closed.push(name) })
  const asyncResource = (name: string) => ({
    [Symbol.asyncDispose]: async () => {
      await null
      closed.push(name)
    }
  })

  test('are closed in reverse order, also where one fails to close', async () => {
    const fail = () => {
      throw new Error('stuck')
    }
    const run = async () => {
      await using resources = new Resources()
      resources.use(resource('data'))
      expect(resources.use(null)).toBeNull()
      resources.use(asyncResource('network'))
      resources.defer(fail)
      resources.defer(() => void closed.push('trainer'))
      expect(closed).toEqual([])
    }
    await expect(run()).rejects.toThrow('stuck')
    expect(closed).toEqual(['trainer', 'network', 'data'])
  })
})
