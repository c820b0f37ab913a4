// npm run test:package [-- names]: installs the tarballs of `npm run package` into empty projects of each kind, without a compiler on the
// path and without install scripts, and uses them as users do. Needs npm's registry, and LibTorch in the cache.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Failure, run, say } from '../lib/setup/report.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const packages = join(root, '.build', 'packages')
const photos = join(root, 'examples', 'photos')
const tarballs = readdirSync(packages).flatMap((name) => (name.endsWith('.tgz') ? [join(packages, name)] : []))
const manifest = JSON.parse(readFileSync(join(packages, 'mactok', 'package.json'), 'utf8'))
const mainTarball = join(packages, `mactok-${manifest.version}.tgz`)

const TOKENIZER = `{ imageSize: 32, patchSize: 8, latentTokens: 4, latentChannels: 8, encoder: { width: 32, depth: 1, heads: 2 }, decoder: { width: 32, depth: 1, heads: 2 } }`
/** Creates a tokenizer and encodes an image; prints the latents' shape. */
const USE = `
  const tokenizer = await Tokenizer.create(${TOKENIZER})
  const latents = await tokenizer.encode(tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32]))
  console.log(latents.shape.join(' '))`
const SHAPE = '1 4 8'
const ESM = `import { Tokenizer, tensor } from 'mactok'\n${USE}\n`
const CJS = `const { Tokenizer, tensor } = require('mactok')\n;(async () => {${USE}\n})()\n`
const TYPED = `import { Tokenizer, tensor, type Tensor } from 'mactok'
export async function encode(): Promise<Tensor<'float32'>> {
  const tokenizer: Tokenizer = await Tokenizer.create(${TOKENIZER})
  return await tokenizer.encode(tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32]))
}
encode().then((latents) => console.log(latents.shape.join(' ')))
`
const NEXT_PAGE = `export default function Layout({ children }) { return <html><body>{children}</body></html> }`
const NEXT_ROUTE = `import { Tokenizer, tensor } from 'mactok'
export const dynamic = 'force-dynamic'
export async function GET() {
  const tokenizer = await Tokenizer.create(${TOKENIZER})
  const latents = await tokenizer.encode(tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32]))
  return new Response(latents.shape.join(' '))
}
`
/** Serves what `next build` made, and prints the answer of its route. */
const NEXT_SERVER = `import { createServer } from 'node:http'
import next from 'next'
const app = next({ dev: false })
await app.prepare()
const server = createServer(app.getRequestHandler()).listen(0, async () => {
  const response = await fetch('http://localhost:' + server.address().port + '/api')
  console.log(await response.text())
  process.exit(response.ok ? 0 : 1)
})
`

/** @typedef {{ npm: (args: string[], manager?: string) => void, write: (name: string, text: string) => void, node: (...args: string[]) => string, bin: (...args: string[]) => string, npx: (...args: string[]) => string }} Project */

/** @type {Record<string, (project: Project) => void>} */
const kinds = {
  'an ES module'({ npm, write, node }) {
    npm([])
    write('main.mjs', ESM)
    expectShape(node('main.mjs'))
  },
  CommonJS({ npm, write, node }) {
    npm([])
    write('main.cjs', CJS)
    expectShape(node('main.cjs'))
  },
  'the command line'({ npm, bin }) {
    npm([])
    const started = Date.now()
    bin('mactok', 'train', 'tokenizer', 'tiny-32', '--data', photos, '--out', 'run', '--steps', '3', '--batch', '2')
    bin('mactok', 'encode', 'run', '--data', photos, '--out', 'latents')
    say(`training for 3 steps and encoding the photographs took ${((Date.now() - started) / 1000).toFixed(1)} s`)
    bin('mactok', 'doctor')
  },
  'TypeScript: node16, nodenext, bundler'({ npm, write, node, bin }) {
    npm(['typescript@5', '@types/node@20'])
    for (const [module, resolution, file] of [
      ['node16', 'node16', 'main.mts'],
      ['nodenext', 'nodenext', 'main.mts'],
      ['nodenext', 'nodenext', 'main.cts'],
      ['esnext', 'bundler', 'main.mts'],
      ['commonjs', 'node10', 'main.ts']
    ]) {
      write(file, TYPED)
      bin(
        'tsc',
        '--strict',
        // As `tsc --init` sets them; zod's types need the first without ES modules.
        '--esModuleInterop',
        '--skipLibCheck',
        '--target',
        'es2022',
        '--lib',
        'es2023,esnext.disposable',
        ...flags({ module, moduleResolution: resolution }),
        file
      )
      expectShape(node(file.replace('ts', 'js')))
    }
  },
  esbuild({ npm, write, node, bin }) {
    npm(['esbuild'])
    write('main.mjs', ESM)
    const bundle = (/** @type {string[]} */ ...options) =>
      bin('esbuild', 'main.mjs', '--bundle', '--platform=node', '--format=esm', '--outfile=out.mjs', ...options)
    bundle('--external:mactok')
    expectShape(node('out.mjs'))
    bundle(
      '--external:sharp',
      '--external:node-gyp-build',
      "--banner:js=import{createRequire as from}from'module';const require=from(import.meta.url)"
    )
    expectFailure(() => node('out.mjs'), /mactok was bundled into .*; mark it as external/)
  },
  webpack({ npm, write, node, bin }) {
    npm(['webpack', 'webpack-cli'])
    write('main.mjs', ESM)
    write(
      'webpack.config.mjs',
      `export default { mode: 'none', target: 'node', entry: './main.mjs', experiments: { outputModule: true }, output: { module: true, filename: 'out.mjs', path: import.meta.dirname }, externals: { mactok: 'module mactok' } }`
    )
    bin('webpack')
    expectShape(node('out.mjs'))
  },
  'Vite, server side'({ npm, write, node, bin }) {
    npm(['vite'])
    write('main.mjs', ESM)
    write('vite.config.mjs', `export default { build: { target: 'es2022' } }`)
    bin('vite', 'build', '--ssr', 'main.mjs', '--outDir', 'out', '--logLevel', 'warn')
    expectShape(node('out/main.mjs'))
  },
  'Next.js'({ npm, write, node, bin }) {
    npm(['next', 'react', 'react-dom'])
    write('app/layout.jsx', NEXT_PAGE)
    write('app/api/route.js', NEXT_ROUTE)
    write('main.mjs', NEXT_SERVER)
    const build = (/** @type {object} */ config, /** @type {string} */ bundler) => {
      write('next.config.mjs', `export default ${JSON.stringify(config)}`)
      bin('next', 'build', bundler)
    }
    const external = { serverExternalPackages: ['mactok'] }
    for (const bundler of ['--turbopack', '--webpack']) {
      build(external, bundler)
      expectShape(node('main.mjs'))
    }
    const files = { '/*': ['./node_modules/mactok/**', './node_modules/@mactok/**'] }
    build({ ...external, output: 'standalone', outputFileTracingIncludes: files }, '--turbopack')
    write('.next/standalone/main.mjs', ESM)
    expectShape(node('.next/standalone/main.mjs'))
    build({}, '--turbopack')
    expectFailure(() => node('main.mjs'), /mactok was bundled into .*; mark it as external/)
  },
  pnpm({ npm, write, node }) {
    npm([], 'pnpm@10')
    write('main.mjs', ESM)
    expectShape(node('main.mjs'))
  },
  "Yarn's Plug'n'Play"({ write, npx }) {
    const yarn = (/** @type {string[]} */ ...args) => npx('--package', '@yarnpkg/cli-dist@4', 'yarn', ...args)
    write('package.json', JSON.stringify({ name: 'project', private: true, resolutions: platformPackages(write) }))
    write('.yarnrc.yml', 'enableScripts: false\nenableTelemetry: false\nenableGlobalCache: false\n')
    yarn('add', `mactok@file:${mainTarball}`)
    write('main.mjs', ESM)
    expectShape(yarn('node', 'main.mjs'))
    write('main.cjs', CJS)
    if (Number.parseInt(process.versions.node, 10) >= 22) expectShape(yarn('node', 'main.cjs'))
    else expectFailure(() => yarn('node', 'main.cjs'), /cannot `require` mactok under Yarn's Plug'n'Play/)
    yarn('mactok', 'train', 'tokenizer', 'tiny-32', '--data', photos, '--out', 'run', '--steps', '2', '--batch', '2')
    yarn('mactok', 'encode', 'run', '--data', photos, '--out', 'latents')
  },
  'the types, as attw sees them'({ npx }) {
    npx('--package', '@arethetypeswrong/cli@0.18', 'attw', mainTarball)
  }
}

run(() => {
  const named = process.argv.slice(2)
  if (tarballs.length === 0) throw new Failure('There are no tarballs', ['npm run package makes them'])
  const path = pathWithoutCompiler()
  const failed = []
  for (const [name, use] of Object.entries(kinds)) {
    if (named.length > 0 && !named.some((part) => name.includes(part))) continue
    const folder = mkdtempSync(join(tmpdir(), 'mactok-project-'))
    const started = Date.now()
    try {
      use(project(folder, path))
      say(`${name}: works (${((Date.now() - started) / 1000).toFixed(0)} s)`)
    } catch (error) {
      if (!(error instanceof Failure)) throw error
      failed.push(name)
      say(`${name}: ${error.message}`)
    } finally {
      rmSync(folder, { recursive: true })
    }
  }
  rmSync(path, { recursive: true })
  if (failed.length > 0) throw new Failure(`failed: ${failed.join(', ')}`)
})

/**
 * Where Yarn finds the platforms' packages. It also looks those of other platforms up, where npm skips what is not published yet.
 * @param {Project['write']} write
 */
function platformPackages(write) {
  const names = Object.keys(manifest.optionalDependencies).map((name) => {
    const platform = name.replace('@mactok/', '')
    const tarball = join(packages, `mactok-${platform}-${manifest.version}.tgz`)
    if (existsSync(tarball)) return [name, `file:${tarball}`]
    const [os, cpu] = platform.split('-')
    write(`absent/${platform}/package.json`, JSON.stringify({ name, version: manifest.version, os: [os], cpu: [cpu] }))
    return [name, `link:./absent/${platform}`]
  })
  return Object.fromEntries(names)
}

/** A folder with links to what users have, and no compiler, CMake or make. */
function pathWithoutCompiler() {
  const folder = mkdtempSync(join(tmpdir(), 'mactok-path-'))
  symlinkSync(process.execPath, join(folder, 'node'))
  for (const program of ['sh', 'env', 'npm', 'npx', 'git', 'tar', 'uname', 'sed', 'dirname', 'basename']) {
    const found = (process.env.PATH ?? '').split(delimiter).find((place) => readdirSafely(place).includes(program))
    if (found) symlinkSync(join(found, program), join(folder, program))
  }
  return folder
}

/** @param {string} folder */
function readdirSafely(folder) {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/**
 * @param {string} folder
 * @param {string} path
 * @returns {Project}
 */
function project(folder, path) {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'project', private: true }))
  const execute = (/** @type {string} */ program, /** @type {string[]} */ args) => {
    const env = { ...process.env, PATH: path, NODE_OPTIONS: '', NEXT_TELEMETRY_DISABLED: '1' }
    const done = spawnSync(program, args, { cwd: folder, env, encoding: 'utf8' })
    if (done.status === 0) return done.stdout
    throw new Failure(
      `${program} ${args.join(' ')} ended with ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`.slice(
        0,
        3000
      )
    )
  }
  return {
    npm(args, manager) {
      const options = manager ? ['add', '--ignore-scripts'] : ['install', '--ignore-scripts', '--no-audit', '--no-fund']
      if (manager) execute('npx', ['--yes', manager, ...options, ...tarballs, ...args])
      else execute('npm', [...options, ...tarballs, ...args])
    },
    write(name, text) {
      mkdirSync(dirname(join(folder, name)), { recursive: true })
      writeFileSync(join(folder, name), text)
    },
    node: (...args) => execute(process.execPath, args),
    bin: (name, ...args) => execute(join(folder, 'node_modules', '.bin', name), args),
    npx: (...args) => execute('npx', ['--yes', ...args])
  }
}

/** @param {Record<string, string>} options */
function flags(options) {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
}

/** @param {string} output its last line is ours; Next.js writes some before */
function expectShape(output) {
  if (output.trim().split('\n').at(-1) !== SHAPE)
    throw new Failure(`expected latents of shape ${SHAPE}; the output is: ${output}`)
}

/**
 * @param {() => void} body
 * @param {RegExp} message
 */
function expectFailure(body, message) {
  try {
    body()
  } catch (error) {
    if (error instanceof Failure && message.test(error.message)) return
    throw error
  }
  throw new Failure(`nothing failed; expected ${message}`)
}
