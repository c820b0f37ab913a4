import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { mactok } from '../support/cli.js'
import { GOLDEN } from '../support/golden.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mactok-cli-weights-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const source = (name: string) => path.join(GOLDEN, 'torch', name)

test('weights are imported, inspected and exported', async () => {
  const out = path.join(folder, 'repa')
  const imported = await mactok(['weights', 'import', source('repa.pt'), '--out', out, '--heads', '2', '--keep'])
  expect(imported).toMatchObject({ code: 0, stderr: '' })
  expect(imported.stdout).toContain(`${out}: generator, from repa (ema)`)
  expect(imported.stdout).toContain('ignored: projectors.0.0.weight')
  expect(imported.stdout).toContain('its time runs from data to noise')

  const file = path.join(folder, 'repa.safetensors')
  const exported = await mactok(['weights', 'export', out, '--layout', 'repa', '--out', file, '--json'])
  expect(exported.code).toBe(0)
  expect(JSON.parse(exported.stdout)).toMatchObject({ file, filled: [], notes: [] })

  const inspected = await mactok(['inspect', source('lightningdit.pt'), '--json'])
  expect(JSON.parse(inspected.stdout)).toMatchObject({ kind: 'weights', layout: 'generator (lightningdit)' })
  const listed = await mactok(['inspect', source('sit.pt'), '--tensors'])
  expect(listed.stdout).toMatch(/args +{"model":"SiT-XL\/2","num_classes":3,"path_type":"GVP"/)
  expect(listed.stdout).toMatch(/ema\.pos_embed +F32 \[1, 4, 8\]/)
})

test('weights are exported as ONNX', async () => {
  const [model, out] = [path.join(folder, 'sit'), path.join(folder, 'onnx')]
  await mactok(['weights', 'import', source('sit.pt'), '--out', model, '--heads', '2'])
  const args = ['weights', 'export', model, '--layout', 'onnx', '--out', out]
  const exported = await mactok([...args, '--precision', 'fp16'])
  expect(exported).toMatchObject({ code: 0, stderr: '' })
  expect(exported.stdout).toMatch(/^.*denoiser\.onnx: 0\.\d MB\n$/)
  const refused = await mactok(args)
  expect([refused.code, refused.stderr.includes('denoiser.onnx exists: choose another folder')]).toEqual([1, true])
  const again = await mactok([...args, '--force', '--json'])
  expect(JSON.parse(again.stdout)).toMatchObject({ folder: out, files: [{ file: path.join(out, 'denoiser.onnx') }] })
})

test('weights import prints recommended sampling as flags', async () => {
  const out = path.join(folder, 'dit')
  const { stdout } = await mactok(['weights', 'import', source('lightningdit.pt'), '--out', out, '--heads', '2'])
  expect(stdout).toContain(
    'sample with --steps 249 --shift 0.3 --guidance.scale 6.7 --guidance.low 0.11 --guidance.high 1 --guidance.channels 3'
  )
})

test.each([
  [2, ['weights', 'import', 'x.pt'], 'Expected either a name or a folder (out) for name'],
  [2, ['weights', 'import', 'x.pt', '--out', 'y', '--layout', 'dit'], 'Expected one of dinov2'],
  [2, ['weights', 'export', 'x', '--layout', 'sit'], "required option '--out <path>' not specified"],
  [2, ['weights', 'export', 'x', '--layout', 'dit', '--out', 'y.safetensors'], 'Allowed choices are sit, repa'],
  [2, ['weights', 'export', 'x', '--layout', 'sit', '--out', 'y', '--force'], 'are options of --layout onnx'],
  [1, ['weights', 'import', 'x.pt', '--out', 'y'], 'There is no file x.pt'],
  [1, ['weights', 'import', source('compressed.pt'), '--out', 'y'], 'is not a valid PyTorch file'],
  [1, ['weights', 'export', 'x', '--layout', 'sit', '--out', 'y.safetensors'], 'x holds no generator'],
  [1, ['inspect', source('compressed.pt')], 'is not a valid PyTorch file']
])('exit code %i: %j', async (code, args, message) => {
  const finished = await mactok(args)
  expect(finished.stderr).toContain(message)
  expect(finished.code).toBe(code)
})
