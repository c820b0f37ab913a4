import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createPackageWithOptions, extractAll, listPackage, statFile } from '@electron/asar'
import { beforeAll, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { findBuild, PLATFORM_PACKAGE } from '../../lib/native/find.js'
import { libTorchCandidates } from '../../lib/native/libtorch.mjs'
import { copyApp, example } from '../../scripts/electron-page.mjs'
import { Workplace } from '../support/images.js'
import { describeWhere } from '../support/paths.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const build = dirname(findBuild().bootstrap)
const { folder: libtorch } = libTorchCandidates()[0] ?? { folder: '' }
const { asarUnpack } = parse(readFileSync(join(example, 'electron-builder.yml'), 'utf8')) as { asarUnpack: string[] }

describeWhere(process.platform === 'linux', 'libraries have other names elsewhere', 'the packaged app', () => {
  const place = new Workplace()
  /** The binaries of the archived app, by their paths in it. */
  let binaries: string[]

  // The app as npm and electron-builder for Linux leave it, packed with the configuration's rules.
  beforeAll(async () => {
    const app = place.path('app')
    const modules = join(app, 'node_modules')
    copyApp(app)
    for (const name of ['package.json', 'dist/native', 'dist/files', 'dist/data', 'dist/errors.js']) {
      cpSync(join(root, name), join(modules, 'mactok', name), { recursive: true })
    }
    const platform = join(modules, PLATFORM_PACKAGE)
    const prebuilds = join(platform, 'prebuilds', `${process.platform}-${process.arch}`)
    mkdirSync(prebuilds, { recursive: true })
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    writeFileSync(join(platform, 'package.json'), JSON.stringify({ name: PLATFORM_PACKAGE, version }))
    cpSync(join(build, 'mactok.node'), join(prebuilds, 'node.napi.node'))
    cpSync(join(build, 'libmactok.so'), join(prebuilds, 'libmactok.so'))
    const dependencies = [
      'node-gyp-build',
      'sharp',
      'detect-libc',
      'semver',
      '@img/colour',
      '@img/sharp-wasm32',
      '@emnapi/runtime'
    ]
    for (const name of dependencies) cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true })

    const packed = join(place.path('packed'), 'app.asar')
    await createPackageWithOptions(app, packed, { unpack: join(app, `{${asarUnpack.join(',')}}`) })
    binaries = listPackage(packed, { isPack: false }).filter((path) => /\.(node|so|wasm)$/.test(path))

    // Where Electron shows an archive, there is a folder here, in which no library can be opened.
    mkdirSync(place.path('resources'))
    extractAll(packed, place.path('resources/app.asar'))
    renameSync(`${packed}.unpacked`, place.path('resources/app.asar.unpacked'))
    for (const path of binaries.filter((path) => /\.(node|so)$/.test(path))) {
      truncateSync(join(place.path('resources/app.asar'), path))
    }
    mkdirSync(place.path('resources/libtorch'))
    symlinkSync(libtorch, place.path('resources/libtorch/torch'))
  })

  test('holds the page and the scripts, and no libraries', () => {
    const packed = join(place.path('packed'), 'app.asar')
    const isUnpacked = (path: string) => 'unpacked' in statFile(packed, path.slice(1))
    expect(binaries.map((path) => path.split('/').at(-1))).toEqual(
      expect.arrayContaining(['node.napi.node', 'libmactok.so', 'sharp-wasm32-0.35.5.node.wasm'])
    )
    expect(binaries.filter((path) => !isUnpacked(path))).toEqual([])
    for (const path of ['/main.mjs', '/page/index.html', '/node_modules/mactok/dist/native/load.js']) {
      expect(isUnpacked(path)).toBe(false)
    }
  })

  test("loads the addon beside the archive with the app's LibTorch, and decodes", () => {
    const dist = join(place.path('resources/app.asar'), 'node_modules', 'mactok', 'dist')
    const photo = join(root, 'examples', 'photos', 'rocket.jpg')
    const script = `
      Object.defineProperty(process, 'versions', { value: { ...process.versions, electron: '45.5.0' } })
      const { addon, libtorchOrigin } = await import(${JSON.stringify(join(dist, 'native', 'load.js'))})
      const { decode } = await import(${JSON.stringify(join(dist, 'data', 'decode.js'))})
      const { width, height } = await decode((await import('node:fs')).readFileSync(${JSON.stringify(photo)}))
      console.log(JSON.stringify([typeof addon().info().threads, libtorchOrigin().folder, width, height]))`
    const done = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      encoding: 'utf8',
      env: { ...process.env, MACTOK_ADDON: undefined, LIBTORCH: place.path('resources/libtorch/torch') }
    })
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' })
    expect(JSON.parse(done.stdout)).toEqual(['number', place.path('resources/libtorch/torch'), 640, 427])
  })

  test('no library of the addon makes external buffers, which Electron forbids', () => {
    // libmactok_cuda, where it was built, has nothing of Node-API.
    for (const name of ['mactok.node', 'libmactok.so']) {
      const symbols = readFileSync(join(build, name), 'latin1')
      expect(symbols).not.toMatch(/napi_create_external_(array)?buffer|node_api_create_external_string/)
    }
    expect(readFileSync(join(build, 'libmactok.so'), 'latin1')).toContain('napi_create_arraybuffer')
  })
})
