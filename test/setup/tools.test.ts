import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { requireBuildTools } from '../../lib/setup/tools.mjs'
import { freshFolder } from './fresh-folder.js'

let folder: string

/** A program that prints what `--version` of the real one does. */
const fake = (name: string, version: string) =>
  writeFileSync(join(folder, name), `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 })

const gcc = (version: string) =>
  `c++ (Ubuntu ${version}-1ubuntu1~22.04) ${version}\nCopyright (C) 2021 Free Software Foundation, Inc.`

freshFolder((fresh) => {
  folder = fresh
  process.env.PATH = folder
  delete process.env.CXX
  fake('c++', gcc('12.2.0'))
  fake('cmake', 'cmake version 3.18.4')
  fake('ninja', '1.11.1')
})

test('tools that suffice pass', () => {
  requireBuildTools()
  fake('cmake', 'cmake version 4.0.1')
  fake('c++', 'Debian clang version 19.1.7')
  requireBuildTools()
})

test('a GCC that is too old is named before the build, with the package that has a newer one', () => {
  fake('c++', gcc('11.4.0'))
  expect(requireBuildTools).toThrow(/^c\+\+ is GCC 11.4, which is too old: 12 is needed\n {2}- Debian.*g\+\+-12/)
  fake('g++-13', gcc('13.1.0'))
  expect(requireBuildTools).toThrow('g++-13 is installed: set CXX=g++-13')
  process.env.CXX = 'g++-13'
  requireBuildTools()
})

test('no compiler at all is named with packages', () => {
  rmSync(join(folder, 'c++'))
  expect(requireBuildTools).toThrow(/^No C\+\+ compiler was found\n {2}- Debian, Ubuntu: apt-get install g\+\+/)
})

test('a compiler that only says how to install one, as on macOS, is none', () => {
  writeFileSync(join(folder, 'c++'), '#!/bin/sh\nexit 1\n')
  expect(requireBuildTools).toThrow('No C++ compiler was found')
  // Windows's cl, which knows no --version.
  writeFileSync(join(folder, 'cl'), '#!/bin/sh\nexit 2\n', { mode: 0o755 })
  requireBuildTools()
})

test('an old or missing CMake is named', () => {
  fake('cmake', 'cmake version 3.16.3')
  expect(requireBuildTools).toThrow(/^CMake 3.16 is too old: 3.18 is needed\n.*apt-get install cmake/)
  rmSync(join(folder, 'cmake'))
  expect(requireBuildTools).toThrow(/^CMake was not found/)
})

test('ninja is checked where there is one, else make', () => {
  fake('ninja', '1.3.4')
  expect(requireBuildTools).toThrow(/^ninja 1.3 is too old: 1.5 is needed\n.*ninja-build/)
  rmSync(join(folder, 'ninja'))
  expect(requireBuildTools).toThrow(/^Neither ninja nor make was found\n.*ninja-build/)
  fake('make', 'GNU Make 4.3')
  requireBuildTools()
})
