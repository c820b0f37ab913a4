import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mactok, main } from '../support/cli.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-usage-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

test('the compiled command is executable', () => accessSync(main, constants.X_OK))

describe('--help', () => {
  test('names every command and loads neither LibTorch nor sharp', async () => {
    const tell = `process.on('exit', () => {
      const found = process.report.getReport().sharedObjects.filter((path) => /torch|sharp|vips|mactok\\.node/.test(path))
      process.stderr.write('loaded: ' + found.join(' ') + '.')
    })`
    const { code, stdout, stderr } = await mactok(['--help'], {
      node: ['--import', `data:text/javascript,${encodeURIComponent(tell)}`]
    })
    expect(code).toBe(0)
    for (const name of ['doctor', 'train', 'encode', 'decode', 'reconstruct', 'inspect', 'weights']) {
      expect(stdout).toContain(`\n  ${name} `)
    }
    expect(stderr).toBe('loaded: .')
  })

  test.each([
    [['doctor']],
    [['setup']],
    [['train', 'tokenizer']],
    [['encode']],
    [['decode']],
    [['reconstruct']],
    [['inspect']],
    [['probe']],
    [['ablate']],
    [['ui']],
    [['report']],
    [['weights', 'pull']],
    [['weights', 'import']]
  ])('%j has examples', async (command) => {
    const { code, stdout } = await mactok([...command, '--help'])
    expect(code).toBe(0)
    expect(stdout).toContain(`Usage: mactok ${command.join(' ')}`)
    expect(stdout).toContain(`\n  $ `)
    expect(stdout).toContain('--json')
  })

  test.each([
    ['SIGINT', 130],
    ['SIGHUP', 129]
  ])('a %s while it is loading has its exit code', async (signal, expected) => {
    // Sends it as soon as anything listens.
    const send = `process.once('newListener', () => setImmediate(() => process.kill(process.pid, '${signal}')))`
    const args = ['train', 'tokenizer', 'tiny-32', '--out', join(folder, 'early'), '--data', join(folder, 'nowhere')]
    const { code } = await mactok(args, { node: ['--import', `data:text/javascript,${send}`] })
    expect(code).toBe(expected)
  })

  test('offers every setting of a run as a flag', async () => {
    const { stdout } = await mactok(['train', 'tokenizer', '--help'])
    for (const name of [
      'masking.max <number>',
      'loss.kl-anneal.kind <none|linear|cyclical>',
      'optimizer.lr <number|none>',
      'align.local [true|false]'
    ]) {
      expect(stdout).toContain(`--${name}`)
    }
  })

  test('takes a setting that is on or off without a value for on', async () => {
    const args = ['train', 'tokenizer', 'tiny-32', '--out', join(folder, 'on'), '--data', join(folder, 'nowhere')]
    for (const value of [[], ['true'], ['false']]) {
      const { stderr } = await mactok([...args, '--checkpointing', ...value, '--align.local'])
      expect(stderr).toContain('There is neither a folder nor a tar')
    }
    expect((await mactok([...args, '--checkpointing', 'maybe'])).stderr).toContain('Expected one of true, false.')
  })

  test('accepts none for a nullable setting', async () => {
    const args = ['train', 'tokenizer', 'tiny-32', '--out', join(folder, 'none'), '--data', join(folder, 'nowhere')]
    // It is the folder that is refused, not the settings.
    const { code, stderr } = await mactok([...args, '--optimizer.lr', 'none', '--grid.every', 'none'])
    expect(stderr).toContain('There is neither a folder nor a tar')
    expect(code).toBe(1)
    expect((await mactok([...args, '--steps', 'none'])).stderr).toContain('Expected a number')
  })

  test('--version', async () => expect((await mactok(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/))
})

describe('wrong usage ends with code 2', () => {
  const train = ['train', 'tokenizer', 'tiny-32', '--data', 'x', '--out', 'y']
  test.each<[string, string[], string]>([
    ['no command', [], 'Usage: mactok'],
    ['an unknown command', ['encod'], "unknown command 'encod'\n(Did you mean encode?)"],
    [
      'an unknown flag',
      [...train, '--masking.mx', '1'],
      "unknown option '--masking.mx'\n(Did you mean --masking.max?)"
    ],
    ['a word for a number', [...train, '--masking.max', 'much'], 'Expected a number.'],
    [
      'a number outside its range',
      [...train, '--masking.max', '1.5'],
      'Expected at most 1 for --masking.max but received 1.5'
    ],
    ['an unknown choice', [...train, '--masking.target', 'pixels'], 'Expected one of image, latent, none.'],
    ['an unknown preset', ['train', 'tokenizer', 'tiny-33', '--data', 'x', '--out', 'y'], 'did you mean tiny-32?'],
    ['no data', ['train', 'tokenizer', 'tiny-32', '--out', 'y'], 'Expected --data <path>'],
    [
      'a sweep by a metric that is not computed',
      [
        ...['evaluate', 'generation', 'gone', '--tokenizer', 'gone', '--reference', 'gone', '--metrics', 'kid,is'],
        ...['--sweep', 'guidance', '--by', 'fid', '--out', 'y']
      ],
      "Expected one of the metrics (kid, is) for by but received 'fid'"
    ],
    [
      'no run folder',
      ['train', 'tokenizer', 'tiny-32', '--data', 'x'],
      "required option '--out <folder>' not specified"
    ],
    ['an unknown device', [...train, '--device', 'gpu'], "for device but received 'gpu'"],
    ['a missing argument', ['inspect'], "missing required argument 'path'"],
    ['a malformed name', ['weights', 'pull', 'a/b/c'], 'a repository such as facebook/dinov2-small'],
    [
      'a ratio above 1',
      ['reconstruct', 'x', '--data', 'y', '--ratio', '2'],
      'Expected at most 1 for --ratio but received 2'
    ]
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await mactok(args)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })

  test.each<[string, string, string]>([
    ['an unknown setting', 'masking: { maxx: 0.5 }', 'Unknown setting masking.maxx; did you mean max?'],
    ['a list instead of settings', '- a\n- b', 'to hold settings by name'],
    ['invalid YAML', 'a: [', 'Cannot read']
  ])('a file with %s', async (_, text, message) => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, text)
    const { code, stderr } = await mactok(['train', 'tokenizer', '--config', file, '--data', 'x', '--out', 'y'])
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })
})

describe('failures end with code 1', () => {
  const missing = () => join(folder, 'missing')
  test.each<[string, () => string[], string]>([
    [
      'missing images',
      () => ['train', 'tokenizer', 'tiny-32', '--data', missing(), '--out', join(folder, 'run')],
      'neither a folder nor a tar'
    ],
    ['a missing tokenizer', () => ['encode', missing(), '--data', missing(), '--out', missing()], 'holds no tokenizer'],
    ['a missing path to inspect', () => ['inspect', missing()], 'There is nothing at']
  ])('%s', async (_, args, message) => {
    const { code, stderr } = await mactok(args())
    expect(stderr).toContain(message)
    expect(code).toBe(1)
  })

  test('with --json the error is JSON too', async () => {
    const { code, stdout } = await mactok(['inspect', missing(), '--json'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual({ error: { message: `There is nothing at ${missing()}`, code: 'ERR_FORMAT' } })
  })
})

describe('flags', () => {
  const photos = () => ['--data', join(folder, 'nowhere'), '--out', join(folder, 'flags')]
  const train = (...args: string[]) => mactok(['train', 'tokenizer', 'tiny-32', ...photos(), ...args])

  test.each([
    ['in kebab-case', '--optimizer.weight-decay'],
    ['in camelCase, as the keys of a file', '--optimizer.weightDecay']
  ])('are understood %s', async (_, flag) => {
    // The value reaches the setting, whose error names the flag in kebab-case.
    expect((await train(flag, '-1')).stderr).toContain('Expected at least 0 for --optimizer.weight-decay')
    expect((await train(`${flag}=-1`)).stderr).toContain('Expected at least 0 for --optimizer.weight-decay')
    // It is the folder that is refused, not the flag.
    expect(await train(flag, '0.1')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is neither') })
  })

  test.each(['--micro-batchs', '--microBatchs'])('%s suggests the kebab-case flag', async (flag) => {
    const { code, stderr } = await train(flag, '2')
    expect(stderr).toContain("unknown option '--micro-batchs'\n(Did you mean --micro-batch?)")
    expect(code).toBe(2)
  })

  test('leave values and what follows -- as they are', async () => {
    const { stderr } = await mactok(['inspect', '--', '--someThing'])
    expect(stderr).toContain('There is nothing at --someThing')
  })

  test('show their defaults, where no preset decides them', async () => {
    const { stdout } = await mactok(['encode', '--help'])
    expect(stdout).toMatch(/--batch <number> +images per pass \(default: 64\)/)
    expect(stdout).toMatch(/--shard-size <number> +images per shard \(default: 10000\)/)
    expect(stdout).not.toContain('--no-moments')
    expect((await mactok(['train', 'tokenizer', '--help'])).stdout).not.toMatch(/--micro-batch.*default/)
  })
})

describe('--config of commands that do not train', () => {
  const commands: [string, string[], string][] = [
    ['encode', ['encode', 'x', '--data', 'y', '--out', 'z'], 'shardSze: 5'],
    ['decode', ['decode', 'x', '--latents', 'y', '--out', 'z'], 'btch: 5'],
    ['reconstruct', ['reconstruct', 'x', '--data', 'y'], 'zom: 2'],
    ['probe', ['probe', 'x', '--data', 'y'], 'fld: 5'],
    ['evaluate statistics', ['evaluate', 'statistics', 'x', '--out', 'z.npz'], 'sise: 8'],
    ['evaluate generation', ['evaluate', 'generation', 'x', '--reference', 'y'], 'guidance: { scal: 2 }'],
    ['ablate', ['ablate', '--table', 'collapse', '--out', 'z', '--data', 'y', '--held-out', 'y'], 'decoderStep: 5']
  ]
  test.each(commands)('%s has it', async (_, args) => {
    expect((await mactok([...args, '--help'])).stdout).toContain('--config <file>')
    const { code, stderr } = await mactok([...args, '--config', join(folder, 'nothing.yaml')])
    expect([code, stderr]).toEqual([2, expect.stringContaining('Cannot read')])
  })

  test.each(commands.slice(-3))('%s refuses an unknown key with a suggestion', async (_, args, text) => {
    const file = join(folder, 'unknown.yaml')
    writeFileSync(file, text)
    const { code, stderr } = await mactok([...args, '--config', file])
    expect(stderr).toMatch(/Unknown setting .*; did you mean /)
    expect(code).toBe(2)
  })
})
