import type { ChildProcess } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { writePng } from '../../lib/data/image.js'
import { type Finished, mactok } from '../support/cli.js'
import { device } from '../support/native.js'

const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
const config = {
  tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
  batch: 4,
  steps: 40,
  precision: 'fp32',
  masking: { semantic: 0 },
  align: { local: false, global: false },
  log: { every: 1 },
  checkpoint: { every: 20 }
}

let folder: string
const at = (...names: string[]) => join(folder, ...names)
/** The lines of JSON that a command wrote. */
const lines = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-cli-'))
  writeFileSync(at('config.yaml'), stringify(config))
  for (const name of ['birds', 'cats']) {
    mkdirSync(at('photos', name), { recursive: true })
    for (let i = 0; i < 4; i++) {
      const data = Uint8Array.from({ length: 20 * 20 * 3 }, (_, j) => (j * (i + 1) * (name.length + 7)) % 256)
      await writePng(at('photos', name, `${i}.png`), { data, width: 20, height: 20 })
    }
  }
  const trained = await train('run')
  expect(trained.stderr).toContain('step 40')
  expect(trained.code).toBe(0)
})
afterAll(() => rmSync(folder, { recursive: true }))

const trainArgs = (run: string, ...args: string[]) => [
  'train',
  'tokenizer',
  '--config',
  at('config.yaml'),
  '--data',
  at('photos'),
  '--out',
  at(run),
  '--device',
  device,
  ...args
]
const train = (run: string, ...args: string[]) => mactok(trainArgs(run, ...args))

describe('train tokenizer', () => {
  test('reports its progress in plain lines where there is no terminal', async () => {
    const { stdout, stderr } = await train('lines', '--steps', '2', '--data.held-out', '2', '--evaluation.every', '2')
    expect(stderr).toMatch(/lines: steps 0 to 2 on .+ \(fp32\), 6 images, 2 held out\n/)
    expect(stderr).toMatch(/\n2\/2 {2}loss .+ \(reconstruction .+, kl .+\) .+ dB {2}.+ images\/s {2}0m00s left\n/)
    expect(stderr).toMatch(/\nstep 2: .+ dB on 2 held-out images\n/)
    expect(stdout).toBe(`${at('lines')}: step 2 of 2\n`)
  })

  test('writes JSON events; flags override the file', async () => {
    const { stdout, stderr, code } = await train(
      'json',
      '--json',
      '--steps',
      '3',
      '--masking.max',
      '0.4',
      '--stop-at',
      '2'
    )
    expect([code, stderr]).toEqual([0, ''])
    const events = lines(stdout)
    expect(events.map(({ event }) => event)).toEqual(['start', 'step', 'step', 'checkpoint', 'end'])
    expect(events[0].config.masking).toMatchObject({ max: 0.4, semantic: 0 })
    const unread = { skipped: [], ignored: [] }
    expect(events.at(-1)).toEqual({ event: 'end', dir: at('json'), step: 2, steps: 3, interrupted: false, unread })
  })

  /** Trains with JSON events and does something after the third step. */
  const interrupt = (run: string, act: (child: ChildProcess) => void, ...args: string[]) => {
    let isDone = false
    return mactok(trainArgs(run, '--json', ...args), {
      onOutput: (text, child) => {
        if (isDone || !text.includes('"step":3')) return
        isDone = true
        act(child)
      }
    })
  }

  test('writes a checkpoint and exits 130 on SIGINT, and resumes bit-exactly', async () => {
    // Long enough to be stopped before its end.
    const long = ['--steps', '400', '--checkpoint.every', '200']
    const { code, stderr } = await interrupt('cut', (child) => child.kill('SIGINT'), ...long)
    expect(stderr).toMatch(/Stopped at step \d+ of 400; resume with: mactok train tokenizer --out .+cut --resume\n/)
    expect(code).toBe(130)
    const step = Number(/Stopped at step (\d+)/.exec(stderr)?.[1])
    expect(step).toBeLessThan(400)
    expect(existsSync(at('cut', 'checkpoints', `step-${String(step).padStart(7, '0')}`, 'state.json'))).toBe(true)

    const resumed = await mactok(['train', 'tokenizer', '--out', at('cut'), '--resume', '--device', device])
    expect(resumed.stdout).toBe(`${at('cut')}: step 400 of 400\n`)
    expect((await train('whole', ...long)).code).toBe(0)
    const weights = (run: string) => readFileSync(at(run, 'checkpoints', 'step-0000400', 'ema.safetensors'))
    expect(weights('cut').equals(weights('whole'))).toBe(true)
  })

  test('writes a checkpoint and exits 129 on SIGHUP, however often it is sent', async () => {
    const hangUp = (child: ChildProcess) => {
      child.kill('SIGHUP')
      setTimeout(() => child.kill('SIGHUP'), 1)
    }
    const { code, stderr } = await interrupt('hangup', hangUp, '--steps', '4000')
    expect(code).toBe(129)
    const step = Number(/Stopped at step (\d+) of 4000/.exec(stderr)?.[1])
    expect(existsSync(at('hangup', 'checkpoints', `step-${String(step).padStart(7, '0')}`, 'state.json'))).toBe(true)
  })

  test('trains on when the reader of its output is gone, and says so once', async () => {
    const { code, stderr } = await interrupt('head', (child) => child.stdout?.destroy(), '--steps', '400')
    expect(stderr).toBe(
      'Cannot write to standard output any more (its reader closed it); the work goes on without it.\n'
    )
    expect(code).toBe(0)
    expect(existsSync(at('head', 'checkpoints', 'step-0000400', 'state.json'))).toBe(true)
  })

  test.each(['stdout', 'stderr'] as const)('trains on when %s is on a full disk', async (stream) => {
    const full = openSync('/dev/full', 'w')
    const run = `full-${stream}`
    const args = trainArgs(run, ...(stream === 'stdout' ? ['--json'] : []))
    const { code, stderr } = await mactok(args, { files: { [stream]: full } }).finally(() => closeSync(full))
    const note = 'Cannot write to standard output any more (ENOSPC: no space left on device, write); the work goes on'
    expect(stderr.split(note).length - 1).toBe(stream === 'stdout' ? 1 : 0)
    expect(code).toBe(0)
    expect(existsSync(at(run, 'checkpoints', 'step-0000040', 'state.json'))).toBe(true)
  })

  test('is refused while another training has the folder, and takes over what a killed one left', async () => {
    let second: Promise<Finished> | undefined
    const first = await interrupt(
      'shared',
      (child) => {
        second = train('shared', '--resume').finally(() => child.kill('SIGKILL'))
      },
      '--steps',
      '100000'
    )
    const { code, stderr } = (await second) as Finished
    expect(stderr).toMatch(/shared is in use: process \d+ on .+ trains in it, and process \d+ on .+ would too/)
    expect([first.code, code]).toEqual([null, 1])
    expect(existsSync(at('shared', 'train.lock'))).toBe(true)

    const third = await train('shared', '--resume', '--steps', '100000', '--stop-at', '1')
    expect(third.stderr).toMatch(/process \d+ on .+ left .+shared locked without ending its training/)
    expect(third.code).toBe(0)
    expect(existsSync(at('shared', 'train.lock'))).toBe(false)
  })

  test('does not overwrite a run', async () => {
    const { code, stderr } = await train('run')
    expect(stderr).toContain('it has one at step 40')
    expect(code).toBe(2)
  })
})

describe('encode, decode, reconstruct, inspect', () => {
  const encode = (out: string, ...args: string[]) =>
    mactok(['encode', at('run'), '--data', at('photos'), '--out', at(out), '--device', device, ...args])

  test('inspect fails when the disk under its output is full', async () => {
    const args = ['inspect', at('run')]
    const full = openSync('/dev/full', 'w')
    const { code, stderr } = await mactok(args, { files: { stdout: full } }).finally(() => closeSync(full))
    expect(stderr).toBe('error: Cannot write to standard output: ENOSPC: no space left on device, write\n')
    expect(code).toBe(1)
  })

  test('encode writes the same shards every time', async () => {
    const { code, stdout } = await encode('latents', '--shard-size', '3')
    expect([code, stdout]).toEqual([0, `${at('latents')}: 8 images in 3 shards\n`])
    const shards = [0, 1, 2].map((i) => `latents_rank00_shard00${i}.safetensors`)
    expect(readdirSync(at('latents')).sort()).toEqual([
      ...shards,
      'latents_stats.json',
      'latents_stats.pt',
      'manifest.json'
    ])
    await encode('again', '--shard-size', '3')
    for (const shard of shards)
      expect(readFileSync(at('latents', shard)).equals(readFileSync(at('again', shard)))).toBe(true)
  })

  test('encode resumes at missing shards, and refuses other settings', async () => {
    await encode('partial', '--shard-size', '3')
    const shard = at('partial', 'latents_rank00_shard001.safetensors')
    const before = readFileSync(shard)
    rmSync(shard)
    expect((await encode('partial', '--shard-size', '3')).code).toBe(0)
    expect(readFileSync(shard).equals(before)).toBe(true)
    const { code, stderr } = await encode('partial', '--shard-size', '3', '--dtype', 'float16')
    expect(stderr).toContain('dtype "float32" instead of "float16"')
    expect(code).toBe(1)
  })

  test('encode stores moments, types and mirrored images as requested', async () => {
    await encode('both', '--flip')
    expect(JSON.parse((await mactok(['inspect', at('both'), '--json'])).stdout)).toMatchObject({ flips: true })
    await encode('moments', '--moments', '--no-flip', '--dtype', 'bfloat16')
    const { stdout } = await mactok(['inspect', at('moments'), '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      kind: 'shards',
      samples: 8,
      sampleShape: [4, 4],
      dtype: 'bfloat16',
      moments: true,
      flips: false,
      classes: 2
    })
  })

  test('encode reads settings from a file, overridden by flags, and refuses unknown ones', async () => {
    writeFileSync(at('encode.yaml'), stringify({ shardSize: 4, flip: false, dtype: 'float16' }))
    const { code, stdout } = await encode('filed', '--config', at('encode.yaml'), '--flip', '--dtype', 'bfloat16')
    expect([code, stdout]).toEqual([0, `${at('filed')}: 8 images in 2 shards\n`])
    const inspected = JSON.parse((await mactok(['inspect', at('filed'), '--json'])).stdout)
    expect(inspected).toMatchObject({ flips: true, dtype: 'bfloat16' })
    writeFileSync(at('wrong.yaml'), stringify({ shardSze: 4 }))
    const wrong = await encode('wrong', '--config', at('wrong.yaml'))
    expect(wrong.stderr).toContain('Unknown setting shardSze; did you mean shardSize?')
    expect([wrong.code, existsSync(at('wrong'))]).toEqual([2, false])
  })

  test('samples of the posterior depend on the seed', async () => {
    for (const seed of ['1', '2']) await encode(`sample-${seed}`, '--sample', '--seed', seed)
    const shard = (name: string) => readFileSync(at(name, 'latents_rank00_shard000.safetensors'))
    expect(shard('sample-1').equals(shard('sample-2'))).toBe(false)
  })

  test('encode skips and reports unreadable images, or stops with --strict', async () => {
    cpSync(at('photos'), at('broken'), { recursive: true })
    writeFileSync(at('broken', 'cats', '1.png'), 'no image')
    const args = ['encode', at('run'), '--data', at('broken'), '--device', device, '--out']
    const lenient = await mactok([...args, at('lenient')])
    expect(lenient.stderr).toContain('skipped cats/1.png: damaged, or not an image')
    expect(lenient.stdout).toBe(`${at('lenient')}: 7 images in 1 shard\n`)
    expect(lenient.stderr).toMatch(/1 skipped, 0 ignored \(--json lists them\)\n$/)
    const manifest = JSON.parse(readFileSync(at('lenient', 'manifest.json'), 'utf8'))
    expect(manifest.shards[0].skipped).toEqual([{ name: 'cats/1.png', reason: 'damaged, or not an image' }])
    const strict = await mactok([...args, at('strict'), '--strict'])
    expect(strict.stderr).toContain('cats/1.png')
    expect(strict.code).toBe(1)
  })

  test('evaluate reconstruction prints its numbers where the run cannot keep them', async () => {
    cpSync(at('run'), at('kept'), { recursive: true })
    const call = ['evaluate', 'reconstruction', at('kept'), '--data', at('photos'), '--device', device]
    const args = [...call, '--metrics', 'ssim']
    mkdirSync(at('kept', 'evaluation-reconstruction.json', 'in the way'), { recursive: true })
    const table = await mactok(args)
    expect(table.stdout).toMatch(/^PSNR .* dB$/m)
    expect(table.stderr).toMatch(/error: .*evaluation-reconstruction\.json/)
    expect(table.code).toBe(1)
    rmSync(at('kept', 'evaluation-reconstruction.json'), { recursive: true })
    const record = readFileSync(at('kept', 'run.json'), 'utf8')
    writeFileSync(at('kept', 'run.json'), record.replace('"batch": 4', '"batch": 5'))
    const json = await mactok([...args, '--json'])
    expect(json.code).toBe(1)
    expect(lines(json.stdout)).toEqual([
      expect.objectContaining({ images: 8, psnr: expect.any(Number) }),
      { error: expect.objectContaining({ message: expect.stringContaining('run.json') }) }
    ])
  })

  test('commands that read images end with what they skipped and ignored, and --json lists it', async () => {
    cpSync(at('photos'), at('mixed'), { recursive: true })
    writeFileSync(at('mixed', 'cats', '1.png'), 'no image')
    writeFileSync(at('mixed', 'cats', 'notes.txt'), '')
    writeFileSync(at('mixed', 'cats', 'a\x1b]0;title\x07.txt'), '')
    const data = ['--data', at('mixed'), '--device', device]
    const calls = [
      ['encode', at('run'), ...data, '--out', at('mixed-latents')],
      ['reconstruct', at('run'), ...data, '--out', at('mixed.png'), '--teacher', 'none'],
      ['evaluate', 'reconstruction', at('run'), ...data, '--metrics', 'ssim'],
      ['probe', at('run'), ...data],
      ['inspect', 'latents', at('run'), ...data, '--out', at('mixed-space')],
      [...trainArgs('mixed-run', ...data), '--steps', '4'],
      ['train', 'decoder', at('run'), ...data, '--out', at('mixed-decoder'), '--steps', '4']
    ]
    for (const call of calls) {
      const { stderr } = await mactok(call)
      expect(stderr).toContain('skipped cats/1.png: damaged, or not an image\n')
      expect(stderr).toContain('ignored cats/notes.txt: not an image (.txt)\n')
      expect(stderr).toContain('ignored cats/a\\x1b]0;title\\x07.txt: not an image (.txt)\n')
      expect(stderr).toMatch(/1 skipped, 2 ignored \(--json lists them\)\n$/)
    }
    const unread = {
      skipped: [{ name: 'cats/1.png', reason: 'damaged, or not an image' }],
      ignored: [
        { name: 'cats/a\x1b]0;title\x07.txt', reason: 'not an image (.txt)' },
        { name: 'cats/notes.txt', reason: 'not an image (.txt)' }
      ]
    }
    const { stdout } = await mactok([...(calls[1] as string[]), '--json'])
    expect(JSON.parse(stdout).unread).toEqual(unread)
    const resumed = await mactok([...trainArgs('mixed-run', ...data), '--steps', '8', '--resume', '--json'])
    expect(lines(resumed.stdout).at(-1)).toMatchObject({ event: 'end', step: 8, unread })
  })

  test('decode writes every image under its name', async () => {
    await encode('to-decode')
    const { code, stdout } = await mactok([
      'decode',
      at('run'),
      '--latents',
      at('to-decode'),
      '--out',
      at('decoded'),
      '--device',
      device
    ])
    expect([code, stdout]).toEqual([0, `${at('decoded')}: 8 images\n`])
    expect(readdirSync(at('decoded', 'cats')).sort()).toEqual(['0.png', '1.png', '2.png', '3.png'])
  })

  test("decode refuses another tokenizer's shards", async () => {
    await encode('foreign')
    await train('other', '--seed', '1', '--steps', '1')
    const args = ['decode', at('other'), '--latents', at('foreign'), '--out', at('forced'), '--device', device]
    const { code, stderr } = await mactok(args)
    expect(stderr).toContain('was encoded by another tokenizer')
    expect(code).toBe(1)
    expect((await mactok([...args, '--force', '--end', '2'])).stdout).toBe(`${at('forced')}: 2 images\n`)
  })

  test('decode refuses an empty range', async () => {
    await encode('ranged', '--batch', '3')
    const { code, stderr } = await mactok([
      'decode',
      at('run'),
      '--latents',
      at('ranged'),
      '--out',
      at('none'),
      '--device',
      device,
      '--start',
      '5',
      '--end',
      '3'
    ])
    expect(stderr).toContain('Expected a range within the 8 images for start and end')
    expect(code).toBe(2)
  })

  test('default files are overwritten only with --force', async () => {
    const folder = at('default')
    mkdirSync(folder)
    const data = ['--data', at('photos'), '--device', device]
    const model = join(at('run'), 'checkpoints', 'step-0000040')
    const calls: [string[], string][] = [
      [['reconstruct', model, ...data, '--teacher', 'none'], 'reconstructions.png'],
      [['inspect', 'latents', model, ...data, '--neighbours', '0'], 'latent-space']
    ]
    for (const [args, name] of calls) {
      expect(await mactok(args, { cwd: folder })).toMatchObject({ code: 0 })
      const again = await mactok(args, { cwd: folder })
      expect(again).toMatchObject({ code: 1 })
      expect(again.stderr).toContain(`${name} exists: name another by --out, or give --force`)
      expect(await mactok([...args, '--force'], { cwd: folder })).toMatchObject({ code: 0 })
    }
    mkdirSync(join(folder, 'latents'))
    const { code, stderr } = await mactok(['inspect', 'latents'], { cwd: folder })
    expect(stderr).toContain('Expected <path>, a tokenizer or a shard folder; `mactok inspect ./latents` describes')
    expect(code).toBe(2)
  })

  test('reconstruct writes a grid', async () => {
    const args = ['reconstruct', at('run'), '--data', at('photos'), '--teacher', 'none', '--device', device]
    const { code, stdout } = await mactok([...args, '--out', at('grid.png'), '--count', '3', '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      images: 3,
      columns: ['original', 'random mask', 'reconstruction'],
      psnr: expect.any(Number)
    })
    expect(readFileSync(at('grid.png')).subarray(1, 4).toString()).toBe('PNG')
  })

  test('inspect describes runs and weights', async () => {
    const run = await mactok(['inspect', at('run'), '--json'])
    expect(JSON.parse(run.stdout)).toMatchObject({ kind: 'run', checkpoint: { step: 40 }, lastMetrics: { step: 40 } })
    expect((await mactok(['inspect', at('run')])).stdout).toContain('16 px to 4 tokens of 4 channels')
    const weights = await mactok(['inspect', at('run', 'checkpoints', 'step-0000040', 'ema.safetensors'), '--tensors'])
    expect(weights.stdout).toContain('layout      mactok tokenizer')
    expect(weights.stdout).toMatch(/\nto_posterior\.weight +F32 \[8, 16\]\n/)
  })
})

test('weights pull downloads files, and reports missing ones', async () => {
  const server = createServer((request, response) => {
    const known = request.url === '/some/model/resolve/main/model.safetensors'
    response.writeHead(known ? 200 : 404, known ? { 'content-length': 4 } : {})
    response.end(known && request.method !== 'HEAD' ? 'data' : undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const env = { HF_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, MACTOK_CACHE: at('cache') }
  try {
    const pulled = await mactok(['weights', 'pull', 'some/model', '--json'], { env })
    expect(JSON.parse(pulled.stdout)).toMatchObject({
      folder: at('cache', 'weights', 'some', 'model'),
      files: ['model.safetensors']
    })
    const missing = await mactok(['weights', 'pull', 'no/model', '--attempts', '1'], { env })
    expect(missing.stderr).toContain('404')
    expect(missing.code).toBe(1)
  } finally {
    server.close()
  }
})
