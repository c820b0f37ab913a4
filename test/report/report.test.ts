import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { Command } from 'commander'
import type { z } from 'zod'
import { createCompleteProgram } from '../../lib/cli/program.js'
import { givenSettings } from '../../lib/cli/settings.js'
import { writePng } from '../../lib/data/image.js'
import { embedJson, html, table } from '../../lib/report/html.js'
import { inspect } from '../../lib/report/inspect.js'
import { writeReport } from '../../lib/report/report.js'
import { listGrids, readAnyRun } from '../../lib/report/run-folder.js'
import { commandsOf, settingsOf } from '../../lib/report/settings.js'
import { thin } from '../../lib/report/thin.js'
import type { MetricsRecord } from '../../lib/runs/metrics.js'
import type { GeneratorRunRecord } from '../../lib/training/generator/record.js'
import { generatorTrainingSchema, resolveGeneratorTraining } from '../../lib/training/generator/schema.js'
import { decoderTraining, resolveConfig } from '../../lib/training/tokenizer/presets.js'
import { type TrainingConfigInput, trainingSchema } from '../../lib/training/tokenizer/schema.js'
import { trainTokenizer } from '../../lib/training/tokenizer/training.js'
import { removeChecksums } from '../support/checksums.js'
import { mactok } from '../support/cli.js'
import { device } from '../support/native.js'
import { tar } from '../support/tars.js'

const vit = { width: 16, depth: 1, heads: 2, layerScale: 1 }
let folder: string
const at = (...names: string[]) => join(folder, ...names)
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mactok-report-'))
  mkdirSync(at('my photos'))
  const data = Uint8Array.from({ length: 24 * 20 * 3 }, (_, j) => (j * 37) % 256)
  for (const name of ['a', 'b', 'c', 'd'])
    await writePng(at('my photos', `${name}.png`), { data, width: 24, height: 20 })
  await trainTokenizer({
    tokenizer: { imageSize: 16, patchSize: 4, latentTokens: 4, latentChannels: 4, encoder: vit, decoder: vit },
    preset: 'mactok-b-256-128',
    encoderInit: null,
    batch: 4,
    steps: 4,
    precision: 'fp32',
    grid: { every: 2 },
    align: { local: false, global: false },
    masking: { max: 0.6, semantic: 0 },
    loss: { perceptual: { weights: null } },
    discriminator: { weights: null },
    log: { every: 1 }
  })
    .data(at('my photos'))
    .run({ dir: at('run'), device })
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('a report', () => {
  test("holds curves, images, settings and metrics beside the paper's, and needs no other file", async () => {
    writeFileSync(at('run', 'evaluation.json'), '{"psnr":21.456,"rfid":12.3456,"notices":["<b>"]}')
    mkdirSync(at('run', 'latents'))
    cpSync(at('my photos', 'a.png'), at('run', 'latents', 'pca-of-classes.png'))
    const { file, bytes, missing } = await writeReport(at('run'), { device })
    expect([file, missing]).toEqual([at('run', 'report.html'), []])
    const page = readFileSync(file, 'utf8')
    expect(Buffer.byteLength(page)).toBe(bytes)
    for (const text of [
      '<h1>run</h1>',
      'mactok-b-256-128',
      '<td>rFID</td><td class="number">12.35</td><td class="number">0.43</td>'
    ]) {
      expect(page).toContain(text)
    }
    expect(page).toContain('alt="pca of classes"')
    expect(page.match(/data-grid="/g)).toHaveLength((await listGrids(at('run'))).length)
    expect(page).toContain('alt="Training masks at most 60 % of the patches, 0 % of the images semantically."')
    const lines = /<script type="application\/json" id="lines">(.*)<\/script>/.exec(page)?.[1] as string
    expect(JSON.parse(lines)).toHaveLength(4)
    // Addresses that a browser would load; those in commands and in the licence of uPlot are text.
    expect(page.match(/(src|href)="(?!data:)[^"]*"/g)).toBeNull()
    expect(page).not.toMatch(/@import|url\((?!["']?data:)/)
  })

  test('is written of a log with lines that are null, or values that were not finite', async () => {
    cpSync(at('run'), at('null'), { recursive: true })
    const broken = 'null\n{"step":4,"loss":{"total":null},"evaluation":{"psnr":null}}\n{"step":4,"evaluation":null}\n'
    writeFileSync(at('null', 'metrics.jsonl'), broken, { flag: 'a' })
    await writeReport(at('null'), { data: null, out: at('null.html') })
    const page = readFileSync(at('null.html'), 'utf8')
    expect(page).not.toContain('<dt>Loss</dt>')
    expect(page).not.toContain('Held-out PSNR')
    expect(await inspect(at('null'))).toMatchObject({ lastMetrics: { step: 4, loss: { total: null } } })
  })

  test("shows no file that another's run folder leads to, and draws no SVG under another name", async () => {
    const strange = at('strange')
    cpSync(at('run'), strange, { recursive: true })
    writeFileSync(at('secret.txt'), 'a key')
    symlinkSync(at('secret.txt'), join(strange, 'latents', 'key.svg'))
    symlinkSync(at('my photos', 'a.png'), join(strange, 'grids', 'step-0000003.png'))
    const grids = (await listGrids(strange)).length
    expect(grids).toBe((await listGrids(at('run'))).length)
    const page = readFileSync((await writeReport(strange, { device })).file, 'utf8')
    expect(page).not.toContain(Buffer.from('a key').toString('base64'))
    expect(page.match(/data-grid="/g)).toHaveLength(grids)
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    writeFileSync(join(strange, 'grids', 'step-0000002.png'), svg)
    await expect(writeReport(strange, { device })).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  test('skips images that are no longer there', async () => {
    const moved = at('moved')
    cpSync(at('run'), moved, { recursive: true })
    const record = JSON.parse(readFileSync(join(moved, 'run.json'), 'utf8'))
    record.data.from = at('gone')
    writeFileSync(join(moved, 'run.json'), JSON.stringify(record))
    await removeChecksums(join(moved, 'run.json'))
    const { missing } = await writeReport(moved, { out: at('moved.html') })
    expect(missing).toEqual([])
    expect(readFileSync(at('moved.html'), 'utf8')).not.toContain('<h2>Masks</h2>')
    const told = await writeReport(moved, { out: at('moved.html'), data: at('gone') })
    expect(told.missing).toEqual([expect.stringContaining('masks: ')])
  })

  test("shows the masks on a run's own tars, and says why they are missing where those are gone", async () => {
    const run = at('of tars')
    cpSync(at('run'), run, { recursive: true })
    const photo = readFileSync(at('my photos', 'a.png'))
    for (const name of ['0', '1']) writeFileSync(at(`photos-${name}.tar`), await tar([[`${name}.png`, photo]]))
    const record = JSON.parse(readFileSync(join(run, 'run.json'), 'utf8'))
    record.data.from = at('photos-{0..1}.tar')
    writeFileSync(join(run, 'run.json'), JSON.stringify(record))
    await removeChecksums(join(run, 'run.json'))
    expect((await writeReport(run, { device })).missing).toEqual([])
    expect(readFileSync(join(run, 'report.html'), 'utf8')).toContain('<h2>Masks</h2>')
    rmSync(at('photos-1.tar'))
    expect((await writeReport(run, { device })).missing).toEqual([expect.stringMatching(/^masks: .*photos-1\.tar/)])
  })

  test('refuses wrong arguments by name, on the command line too', async () => {
    await expect(writeReport('')).rejects.toThrow("Expected a path for run but received '' of type string")
    await expect(writeReport(at('run'), { data: 5 } as never)).rejects.toThrow(
      new TypeError('Expected a path for data but received 5 of type number')
    )
    await expect(writeReport(at('run'), { device: 'gpu' })).rejects.toThrow(
      new TypeError("Expected auto, cpu, cuda, cuda:<index> or mps for device but received 'gpu' of type string")
    )
    await expect(writeReport(folder)).rejects.toThrow(`There is no run in ${folder}`)
    await expect(writeReport(at('run'), { out: '' })).rejects.toThrow('Expected a path for out')
    expect((await mactok(['report'])).code).toBe(2)
    expect(await mactok(['report', folder])).toMatchObject({ code: 1, stderr: `error: There is no run in ${folder}\n` })
  })
})

/** Reads a line that calls mactok by the command line's own program, which refuses unknown flags. */
async function parse<S extends z.core.$ZodType>(line: string, schema: S) {
  const words = [...line.matchAll(/'([^']*)'|\S+/g)].map(([word, inner]) => inner ?? word)
  const program = await createCompleteProgram()
  let called: { args: string[]; options: Record<string, unknown>; settings: Partial<z.input<S>> } | undefined
  const listen = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => {} })
    command.action(() => {
      called = { args: command.args, options: command.opts(), settings: givenSettings(command.opts(), schema) }
    })
    command.commands.forEach(listen)
  }
  program.commands.forEach(listen)
  await program.parseAsync(words.slice(1), { from: 'user' })
  if (!called) throw new Error('no command')
  return called
}

describe('the command that repeats a run', () => {
  const versions = { mactok: '1.0.0' }
  const againOf = (record: Parameters<typeof commandsOf>[0]) => commandsOf(record, 'runs/x')[0]?.command ?? ''
  const tokenizerRun = async (input: TrainingConfigInput) => {
    const record = await readAnyRun(at('run'))
    if (record?.kind !== 'tokenizer') throw new Error('no run')
    return { ...record, config: resolveConfig(input) }
  }

  test('starts from the same weights, and is read as the same settings', async () => {
    const input = { preset: 'tiny-64', init: 'runs/my base', data: { strict: true }, batch: 8, optimizer: { lr: null } }
    const record = await tokenizerRun(input)
    const line = againOf(record)
    expect(line).toContain(" --init 'runs/my base'")
    const { args, options, settings } = await parse(line, trainingSchema)
    expect(args).toEqual(['tiny-64'])
    expect(options).toMatchObject({ data: at('my photos'), out: 'runs/x-again', strict: true })
    const given = { ...settings, data: { ...settings.data, strict: options.strict === true } }
    expect(resolveConfig({ preset: 'tiny-64', ...given })).toEqual(record.config)
  })

  test("repeats a decoder's training that stops at unreadable images", async () => {
    const trained = { preset: 'tiny-64' }
    const config = decoderTraining({ ...trained, data: { strict: true }, epochs: 3 }, 'runs/first')
    const record = await tokenizerRun(config)
    const { args, settings } = await parse(againOf(record), trainingSchema)
    expect(args).toEqual(['runs/first'])
    expect(settings.data).toEqual({ strict: true })
    expect(resolveConfig({ ...decoderTraining(trained, 'runs/first'), ...settings })).toEqual(record.config)
  })

  test("keeps a generator's reference, without the secrets of an address", async () => {
    const config = resolveGeneratorTraining({ preset: 'sit-tiny', batch: 16, evaluation: { metrics: ['kid', 'fid'] } })
    const data = {
      from: 'my latents/',
      latents: 8,
      tokenizer: null,
      tokenizerFrom: 'runs/tiny',
      referenceFrom: 'https://me:secret@host/photos.tar?signature=secret'
    }
    const record = { formatVersion: 1, kind: 'generator', config, settled: config, data, versions }
    const line = againOf(record as unknown as GeneratorRunRecord)
    expect(line).not.toContain('secret')
    const { args, options, settings } = await parse(line, generatorTrainingSchema)
    expect(args).toEqual(['sit-tiny'])
    expect(options).toMatchObject({
      latents: 'my latents/',
      tokenizer: 'runs/tiny',
      reference: 'https://host/photos.tar'
    })
    expect(resolveGeneratorTraining({ preset: 'sit-tiny', ...settings })).toEqual(config)
    const plain = { ...record, data: { ...data, referenceFrom: null } }
    expect(againOf(plain as unknown as GeneratorRunRecord)).not.toContain('--reference')
  })

  test('has a flag for every change from the preset, quoted for a shell', async () => {
    const record = await readAnyRun(at('run'))
    if (!record) throw new Error('no run')
    const [first, second] = commandsOf(record, at('run'))
    expect(first?.command).toContain(
      `mactok train tokenizer mactok-b-256-128 --data '${at('my photos')}' --out ${at('run')}-again`
    )
    for (const flag of [
      '--encoder-init none',
      '--masking.max 0.6',
      '--align.local false',
      '--batch 4',
      '--tokenizer.encoder.width 16'
    ]) {
      expect(first?.command).toContain(flag)
    }
    expect(first?.command).not.toContain('--masking.min')
    expect(second?.command).toBe(`mactok train tokenizer --out ${at('run')} --resume`)
    const changed = settingsOf(record).find(({ name }) => name === 'masking.max')
    expect(changed).toMatchObject({
      value: '0.6',
      preset: '0.7',
      description: 'M, the upper end of the drawn mask ratio'
    })
  })

  test('has the flags of `train decoder` for a decoder', async () => {
    const record = await readAnyRun(at('run'))
    if (record?.kind !== 'tokenizer') throw new Error('no run')
    const config = { ...record.config, part: 'decoder' as const, init: 'runs/first', epochs: 3 }
    const [first, second] = commandsOf({ ...record, config }, 'runs/second/')
    expect(first?.command).toMatch(/^mactok train decoder runs\/first --data '.*' --out runs\/second-again /)
    expect(first?.command).toContain('--epochs 3')
    expect(first?.command).not.toMatch(/--(masking|align|tokenizer|encoder-init)/)
    expect(second?.command).toBe('mactok train decoder runs/first --out runs/second/ --resume')
  })
})

test('a thinned log keeps its evaluations and its end', () => {
  const lines = Array.from(
    { length: 10_001 },
    (_, step): MetricsRecord => (step % 100 === 7 ? { step, evaluation: { psnr: 1 } } : { step })
  )
  const few = thin(lines)
  expect(few.length).toBeLessThan(4000)
  expect(few.filter((line) => 'evaluation' in line)).toHaveLength(100)
  expect(few.at(-1)).toEqual({ step: 10_000 })
  expect(thin(lines.slice(0, 50))).toEqual(lines.slice(0, 50))
})

describe('html', () => {
  test('escapes values but not templates', () => {
    const { text } = html`<p title="${'"'}">${'<b>&'}${null}${html`<i>${"it's"}</i>`}${[1, html`<hr>`]}</p>`
    expect(text).toBe('<p title="&quot;">&lt;b&gt;&amp;<i>it&#39;s</i>1<hr></p>')
  })

  test('data cannot end the script element around it', () => {
    expect(embedJson({ name: '</script><script>' }).text).toBe('{"name":"\\u003c/script>\\u003cscript>"}')
  })

  test('tables right-align numbers', () => {
    expect(table(['a', 'b'], [['x', 1]]).text).toContain('<td>x</td><td class="number">1</td>')
  })
})
