import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'
import { freshFolder } from './fresh-folder.js'

let folder: string

freshFolder((fresh) => {
  folder = fresh
})

test('what a clone compiles and tests with is installed with NODE_ENV=production, too', async () => {
  mkdirSync(join(folder, 'dependency'))
  writeFileSync(join(folder, 'dependency', 'package.json'), '{ "name": "dependency", "version": "1.0.0" }')
  const manifest = { name: 'clone', version: '1.0.0', devDependencies: { dependency: 'file:dependency' } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  const script = `
    import { installDependencies } from '${new URL('../../scripts/npm.mjs', import.meta.url)}'
    installDependencies(${JSON.stringify(folder)})`
  const env = { ...process.env, NODE_ENV: 'production', npm_config_offline: 'true' }
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env })
  expect(existsSync(join(folder, 'node_modules', 'dependency', 'package.json'))).toBe(true)
})
