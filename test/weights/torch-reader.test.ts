import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { NativeTensor } from '../../lib/native/addon.js'
import { readSafetensors } from '../../lib/weights/reader.js'
import { toState } from '../../lib/weights/state.js'
import { fileWeights } from '../../lib/weights/tensors.js'
import { openWeights, openWeightsFile } from '../../lib/weights/weights-file.js'
import { chooseGroup } from '../../lib/weights/wrappers.js'
import { GOLDEN } from '../support/golden.js'
import { CASES } from '../support/paths.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'mactok-torch-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const golden = (name: string) => path.join(GOLDEN, 'torch', name)

// Written by PyTorch 2.15.0: test/golden/torch_files.py.
const files = ['zip', 'old'].flatMap((format) => [2, 3, 4, 5].map((protocol) => `${format}${protocol}.pt`))

describe('files of torch.save', () => {
  test.each(files)('%s: every dtype, views, strides and shared storages', async (name) => {
    const file = await openWeightsFile(golden(name))
    await using expected = await readSafetensors(golden('expected.safetensors'))
    const { group, weights } = chooseGroup(file)
    expect(group).toBe('ema')
    expect([...weights.keys()].sort()).toEqual(expected.names().sort())
    for (const key of expected.names()) {
      const tensor = weights.get(key)
      expect([key, tensor?.dtype, tensor?.shape]).toEqual([key, expected.dtype(key), expected.info(key).shape])
      expect([key, await tensor?.bytes()]).toEqual([key, await expected.bytes(key)])
    }
    await file.close()
  })

  test.each(['zip2.pt', 'old4.pt'])('%s: contiguous tensors of both formats can be mapped', async (name) => {
    const file = await openWeightsFile(golden(name))
    const { weights } = chooseGroup(file)
    expect(weights.get('matrix')?.place?.path).toBe(golden(name))
    expect(weights.get('transposed')?.place).toBeUndefined()
    const state = await toState(weights)
    await using expected = await readSafetensors(golden('expected.safetensors'))
    for (const key of ['columns', 'matrix', 'tail', 'flags']) {
      expect(new Uint8Array(await (state[key] as NativeTensor).read())).toEqual(await expected.bytes(key))
    }
    for (const tensor of Object.values(state)) tensor.dispose()
    await file.close()
  })

  test.each(files)('%s: plain values beside the tensors', async (name) => {
    const file = await openWeightsFile(golden(name))
    expect([...file.groups.keys()]).toEqual(['ema', 'model'])
    expect(file.unsupported).toEqual(['complex.freqs (complex64)'])
    expect(file.record).toEqual({
      args: { model: 'SiT-XL/2', image_size: 256, cfg: null, sizes: [1, 2] },
      size: [2, 3],
      device: 'cpu',
      steps: 1234
    })
    await file.close()
  })

  test('prefixes of wrappers are removed, groups can be chosen', async () => {
    const file = await openWeightsFile(golden('zip4.pt'))
    const { weights } = chooseGroup(file, 'model')
    expect(weights.has('matrix')).toBe(true)
    expect(() => chooseGroup(file, 'other')).toThrow('Expected one of ema, model of')
    await file.close()
  })

  test.each(['zip2.pt', 'old2.pt'])(
    '%s: no cut and no changed byte of it ends in anything but an error or a value',
    async (name) => {
      const whole = await readFile(golden(name))
      const target = path.join(folder, `cut-${name}`)
      const attempt = async (bytes: Uint8Array) => {
        await writeFile(target, bytes)
        try {
          const file = await openWeightsFile(target)
          for (const weights of file.groups.values()) for (const tensor of weights.values()) await tensor.bytes()
          await file.close()
        } catch (error) {
          expect(error).toMatchObject({ name: 'MactokError', code: 'ERR_FORMAT' })
        }
      }
      for (let length = 0; length < whole.length; length += 61) await attempt(whole.subarray(0, length))
      for (let at = 0; at < whole.length; at += 13) {
        const changed = Buffer.from(whole)
        changed[at] = (changed[at] as number) ^ (1 << (at % 8))
        await attempt(changed)
      }
    }
  )
})

/** An old file whose object is made by the given pickle, without storages. */
async function old(pickle: Buffer): Promise<string> {
  const magic = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex')
  const version = Buffer.from('80024de9032e', 'hex')
  const system = Buffer.from('80027d2e', 'hex')
  const keys = Buffer.from('80025d2e', 'hex')
  const file = path.join(folder, 'hostile.pt')
  await writeFile(file, Buffer.concat([magic, version, system, Buffer.from([0x80, 2]), pickle, keys]))
  return file
}

const text = (value: string) => Buffer.concat([Buffer.from([0x8c, value.length]), Buffer.from(value)])
const ascii = (value: string) => Buffer.from(value, 'latin1')
const reject = (pickle: Buffer, message: string) => async () =>
  expect(openWeightsFile(await old(pickle))).rejects.toThrow(message)

/** A state dict of one tensor, `x`, on a storage of four floats that the list of storages has not. */
const tensor = (shape: Buffer, strides: Buffer) =>
  Buffer.concat([
    ascii('}'),
    text('x'),
    ascii('ctorch._utils\n_rebuild_tensor_v2\n(('),
    text('storage'),
    ascii('ctorch\nFloatStorage\n'),
    text('0'),
    text('cpu'),
    ascii('K\x04NtQK\x00'),
    shape,
    strides,
    ascii('\x89NtRs.')
  ])

describe('hostile files', () => {
  test('a call of os.system becomes a record: nothing runs', async () => {
    const victim = path.join(folder, 'ran')
    const pickle = Buffer.concat([ascii('cos\nsystem\n'), text(`touch ${victim}`), ascii('\x85R.')])
    await reject(pickle, 'has no named tensors')()
    expect(existsSync(victim)).toBe(false)
  })

  test('so do calls of builtins', async () => {
    for (const name of ['eval', 'exec', 'getattr', '__import__']) {
      await reject(Buffer.concat([ascii(`cbuiltins\n${name}\n`), text('1'), ascii('\x85R.')]), 'has no named tensors')()
    }
  })

  test('objects that contain themselves', reject(ascii(']q\x00h\x00a.'), 'has no named tensors'))
  test(
    'a dict that contains itself as arguments',
    reject(Buffer.concat([ascii('}q\x00'), text('args'), ascii('h\x00s.')]), 'has no named tensors')
  )
  test(
    'a list that contains itself as arguments',
    reject(Buffer.concat([ascii('}'), text('args'), ascii(']q\x00h\x00as.')]), 'has no named tensors')
  )
  test('a text longer than the file', reject(ascii('X\xff\xff\xff\x7f.'), 'its pickle is truncated'))
  test(
    'a text of 2^63 bytes',
    reject(Buffer.concat([Buffer.from([0x8d]), Buffer.alloc(8, 0x7f)]), 'its pickle is truncated')
  )
  test('an integer of a million digits', reject(ascii('\x8b\x00\x00\x10\x00'), 'an integer of 1048576 bytes'))
  test('objects that were never made', reject(ascii('j\xff\xff\xff\xff.'), 'refers to object 4294967295'))
  test('an empty stack', reject(ascii('0.'), 'pops an empty stack'))
  test('marks that were never set', reject(ascii('t.'), 'pops a mark that was never set'))
  test('a pickle without end', reject(ascii('}}}}'), 'is not a valid PyTorch file'))
  test('text operations of protocol 0', reject(ascii("S'x'\n."), 'the unknown operation 0x53'))
  test('extension codes', reject(ascii('\x82\x01.'), 'an extension code'))
  test('a name of a megabyte', reject(Buffer.concat([ascii('c'), Buffer.alloc(2 ** 20, 97)]), 'an endless name'))

  test('ten million objects are refused before they are made', async () => {
    await reject(Buffer.concat([Buffer.alloc(10_000_000, '}'), ascii('.')]), 'more than 2000000 operations')()
  })

  test('so are a million copies of one large set', async () => {
    const large = Buffer.concat([ascii('(]q\x00('), Buffer.alloc(200_000, 'N'), ascii('e')])
    const copy = ascii('c__builtin__\nset\nh\x00\x85R')
    const pickle = Buffer.concat([large, ...Array.from({ length: 1000 }, () => copy), ascii('t.')])
    await reject(pickle, 'more than 2000000 operations')()
  })

  test('lists in lists that would be 10^30 elements written out', async () => {
    const levels = Array.from({ length: 100 }, (_, i) =>
      Buffer.concat([
        ascii(']('),
        Buffer.concat(Array.from({ length: 2 }, () => Buffer.from([0x68, i]))),
        ascii('eq'),
        Buffer.from([i + 1])
      ])
    )
    const pickle = Buffer.concat([
      ascii('}('),
      text('args'),
      ascii(']q\x00'),
      ...levels.map((each) => Buffer.concat([each])),
      ascii('\x86.')
    ])
    await expect(openWeightsFile(await old(pickle))).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  test(
    'tensors beyond their storage',
    reject(tensor(ascii('K\x05\x85'), ascii('K\x01\x85')), 'extends beyond its storage')
  )
  test(
    'tensors that repeat four elements a billion times',
    reject(tensor(ascii('J\x00\x00\x00\x40\x85'), ascii('K\x00\x85')), 'repeats the 4 elements')
  )
  test('negative strides', reject(tensor(ascii('K\x02\x85'), ascii('J\xff\xff\xff\xff\x85')), 'an impossible shape'))
  test(
    'storages that are not there',
    reject(tensor(ascii('K\x04\x85'), ascii('K\x01\x85')), 'the storage of tensor "x"')
  )

  test('archives with compressed records, which could be bombs', async () => {
    await expect(openWeightsFile(golden('compressed.pt'))).rejects.toThrow('is compressed')
  })

  test('files of neither format', async () => {
    const file = path.join(folder, 'text.pt')
    await writeFile(file, 'hello')
    await expect(openWeightsFile(file)).rejects.toThrow('it has neither format of torch.save')
    await writeFile(file, '')
    await expect(openWeightsFile(file)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
    await writeFile(file, Buffer.from([0x50, 0x4b, 3, 4, 0, 0]))
    await expect(openWeightsFile(file)).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })
})

describe('what stands in place of a file of weights is named', () => {
  const copy = async (name: string, content: Uint8Array | string) => {
    const target = path.join(folder, name)
    await writeFile(target, content)
    return target
  }

  test('a file of torch.save is read under the name of a safetensors file, and the reverse', async () => {
    const torch = await copy('torch.safetensors', await readFile(golden('zip2.pt')))
    const old = await copy('old.safetensors', await readFile(golden('old2.pt')))
    const safe = await copy('safetensors.pt', await readFile(golden('expected.safetensors')))
    for (const each of [torch, old, safe]) {
      await using opened = await openWeights(each)
      expect(opened.weights.has('matrix')).toBe(true)
    }
    await expect(readSafetensors(torch)).rejects.toThrow(
      `${torch} is not a valid safetensors file: it is a file of torch.save; convert it with \`mactok weights import\``
    )
  })

  test('a Git LFS pointer, whatever its name', async () => {
    const pointer = await copy('pointer.pt', await readFile(`${CASES}lfs-pointer.safetensors`))
    const message = 'is a Git LFS pointer: fetch the file itself with `git lfs pull`'
    await expect(openWeightsFile(pointer)).rejects.toThrow(`${pointer} ${message}`)
    await expect(openWeightsFile(`${CASES}lfs-pointer.safetensors`)).rejects.toThrow(message)
    await expect(readSafetensors(`${CASES}lfs-pointer.safetensors`)).rejects.toThrow(message)
  })

  test('a web page', async () => {
    const page = await copy('page.pth', '<!DOCTYPE html><html></html>')
    await expect(openWeightsFile(page)).rejects.toThrow('is a web page: download the file itself')
  })

  test('a TorchScript archive', async () => {
    const script = await copy('script.pt', await readFile(golden('zip2.pt')))
    const renamed = (await readFile(script)).toString('latin1').replaceAll('/byteorder', '/code/x.py')
    await writeFile(script, renamed, 'latin1')
    await expect(openWeightsFile(script)).rejects.toThrow('is a TorchScript archive, a program: load it in PyTorch')
  })

  test('an impossible shape', async () => {
    await expect(openWeightsFile(`${CASES}shape63.safetensors`)).rejects.toThrow(
      /shape63.safetensors is not a valid safetensors file: tensor "a" has the impossible shape/
    )
  })
})

describe('conventions of other projects', () => {
  const one = { dtype: 'float32' as const, shape: [1], bytes: async () => new Uint8Array(4) }
  const weights = (...names: string[]) => new Map(names.map((name) => [name, one]))
  const choose = (groups: Record<string, ReturnType<typeof weights>>) => {
    const chosen = chooseGroup({ path: 'x.pt', groups: new Map(Object.entries(groups)) })
    return { ...chosen, weights: [...chosen.weights.keys()] }
  }

  test.each(['ema', 'model_ema', 'ema_model', 'state_dict_ema', 'ema_state_dict', 'params_ema', 'teacher'])(
    'averaged weights %s are preferred, and said so',
    (ema) => {
      const { group, notes } = choose({ state_dict: weights('a'), model: weights('a'), [ema]: weights('a') })
      expect(group).toBe(ema)
      expect(notes).toEqual([`read ${ema}, the averaged weights, and not state_dict, model: --group chooses`])
    }
  )

  test("torch's AveragedModel is unwrapped, and said so", () => {
    expect(choose({ '': weights('n_averaged', 'module.module.a', 'module.module.b') })).toMatchObject({
      weights: ['a', 'b'],
      dropped: ['n_averaged'],
      notes: ["its weights are averaged (torch's AveragedModel)"]
    })
  })

  test("of DINO's own checkpoints the teacher's backbone is taken, without heads", () => {
    const names = ['backbone.cls_token', 'backbone.blocks.0.norm1.weight', 'dino_head.mlp.0.weight']
    const expected = { weights: ['cls_token', 'blocks.0.norm1.weight'] }
    expect(choose({ teacher: weights(...names) })).toMatchObject({ ...expected, dropped: ['dino_head.mlp.0.weight'] })
    const both = weights(
      ...names.map((name) => `module.student.${name}`),
      ...names.map((name) => `module.teacher.${name}`)
    )
    const { weights: kept, dropped, notes } = choose({ model: both })
    expect(kept).toEqual(expected.weights)
    expect(dropped).toHaveLength(4)
    expect(notes).toEqual(['read teacher.backbone.*, without heads'])
  })

  test('a tensor of an unsupported type is refused only when it is used', async () => {
    const header = {
      a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      b: { dtype: 'F8_E4M3', shape: [4], data_offsets: [4, 8] }
    }
    const json = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(json.length))
    const file = path.join(folder, 'fp8.safetensors')
    await writeFile(file, Buffer.concat([length, json, Buffer.alloc(8)]))
    await using opened = await openWeightsFile(file)
    expect([...(opened.groups.get('')?.keys() ?? [])]).toEqual(['a'])
    expect(opened.unsupported).toEqual(['b (F8_E4M3)'])
    await using read = await readSafetensors(file)
    const all = fileWeights(read)
    expect(all.get('a')?.dtype).toBe('float32')
    expect(() => all.get('b')?.dtype).toThrow(`Tensor "b" of ${file} has dtype F8_E4M3`)
  })
})
