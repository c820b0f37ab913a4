import { describe, expect, test } from '@jest/globals'
import { type Dinov2Layout, detectDinov2, dinov2Config, dinov2Name, mapDinov2 } from '../../lib/weights/dinov2.js'
import { asBytes, toFloat32 } from '../../lib/weights/dtype.js'
import type { Weights, WeightTensor } from '../../lib/weights/tensors.js'

/** A tensor of consecutive numbers. */
function counting(shape: number[], from = 0): WeightTensor {
  const values = Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, (_, i) => from + i)
  return { dtype: 'float32', shape, bytes: async () => asBytes(values) }
}

const values = async (weights: Weights, name: string) => {
  const tensor = weights.get(name) as WeightTensor
  return Array.from(toFloat32(await tensor.bytes(), tensor.dtype))
}

/** A block of width 2 in transformers 5's names (5.23.0: `Dinov2Model(…).state_dict()`). */
const transformers5 = (index: number): [string, WeightTensor][] => {
  const at = `encoder.layer.${index}`
  return [
    [`${at}.norm1.weight`, counting([2])],
    [`${at}.norm1.bias`, counting([2])],
    [`${at}.attention.v_proj.weight`, counting([2, 2], 20)],
    [`${at}.attention.v_proj.bias`, counting([2], 20)],
    [`${at}.attention.k_proj.weight`, counting([2, 2], 10)],
    [`${at}.attention.k_proj.bias`, counting([2], 10)],
    [`${at}.attention.q_proj.weight`, counting([2, 2], 0)],
    [`${at}.attention.q_proj.bias`, counting([2], 0)],
    [`${at}.attention.o_proj.weight`, counting([2, 2])],
    [`${at}.attention.o_proj.bias`, counting([2])],
    [`${at}.layer_scale1.lambda1`, counting([2])],
    [`${at}.norm2.weight`, counting([2])],
    [`${at}.norm2.bias`, counting([2])],
    [`${at}.mlp.fc1.weight`, counting([8, 2])],
    [`${at}.mlp.fc1.bias`, counting([8])],
    [`${at}.mlp.fc2.weight`, counting([2, 8])],
    [`${at}.mlp.fc2.bias`, counting([2])],
    [`${at}.layer_scale2.lambda1`, counting([2])]
  ]
}

const huggingFace = (...extra: [string, WeightTensor][]): Weights =>
  new Map([
    ['embeddings.cls_token', counting([1, 1, 2], 100)],
    ['embeddings.mask_token', counting([1, 2])],
    ['embeddings.position_embeddings', counting([1, 5, 2])],
    ['embeddings.patch_embeddings.projection.weight', counting([2, 3, 14, 14])],
    ['embeddings.patch_embeddings.projection.bias', counting([2])],
    ...transformers5(0),
    ...transformers5(1),
    ['layernorm.weight', counting([2])],
    ['layernorm.bias', counting([2])],
    ...extra
  ])

/** The names on the hub, from those of transformers 5 (its own `conversion_mapping.py`, 5.23.0). */
const older: [string, string][] = [
  ['attention.q_proj', 'attention.attention.query'],
  ['attention.k_proj', 'attention.attention.key'],
  ['attention.v_proj', 'attention.attention.value'],
  ['attention.o_proj', 'attention.output.dense']
]
const rename = (weights: Weights, changes: [string, string][]): Weights =>
  new Map(
    [...weights].map(([name, tensor]) => [changes.reduce((text, [from, to]) => text.replace(from, to), name), tensor])
  )

/** timm 1.0.31: `create_model('vit_small_patch14_dinov2', depth=2).state_dict()`. */
const timmBlock = (index: number) =>
  [
    'norm1.weight',
    'norm1.bias',
    'attn.qkv.weight',
    'attn.qkv.bias',
    'attn.proj.weight',
    'attn.proj.bias',
    'ls1.gamma',
    'norm2.weight',
    'norm2.bias',
    'mlp.fc1.weight',
    'mlp.fc1.bias',
    'mlp.fc2.weight',
    'mlp.fc2.bias',
    'ls2.gamma'
  ].map((name) => `blocks.${index}.${name}`)
const timmNames = [
  'cls_token',
  'pos_embed',
  'patch_embed.proj.weight',
  'patch_embed.proj.bias',
  ...timmBlock(0),
  ...timmBlock(1),
  'norm.weight',
  'norm.bias'
]

describe.each([
  ['transformers 5', huggingFace()],
  ['the hub', rename(huggingFace(), older)],
  [
    'a classifier on the hub',
    rename(huggingFace(['classifier.weight', counting([1])]), [
      ...older,
      ['embeddings.', 'dinov2.embeddings.'],
      ['encoder.', 'dinov2.encoder.'],
      ['layernorm.', 'dinov2.layernorm.']
    ])
  ]
])('the names of %s', (_, weights) => {
  test("are recognised and mapped to timm's", () => {
    expect(detectDinov2(weights.keys())).toBe('huggingface')
    expect([...mapDinov2(weights).keys()].sort()).toEqual([...timmNames].sort())
  })

  test('q, k and v become one matrix, in this order', async () => {
    const mapped = mapDinov2(weights)
    expect(mapped.get('blocks.1.attn.qkv.weight')?.shape).toEqual([6, 2])
    expect(await values(mapped, 'blocks.1.attn.qkv.weight')).toEqual([0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23])
    expect(await values(mapped, 'blocks.0.attn.qkv.bias')).toEqual([0, 1, 10, 11, 20, 21])
  })

  test('without registers the positions stay as they are', async () => {
    const mapped = mapDinov2(weights)
    expect(await values(mapped, 'cls_token')).toEqual([100, 101])
    expect(mapped.get('pos_embed')?.shape).toEqual([1, 5, 2])
  })

  test('configuration', () => {
    expect(
      dinov2Config(mapDinov2(weights), { num_attention_heads: 1, layer_norm_eps: 1e-5, layerscale_value: 0.5 })
    ).toEqual({
      vit: {
        width: 2,
        depth: 2,
        heads: 1,
        mlpRatio: 4,
        mlp: 'gelu',
        layerScale: 0.5,
        cls: true,
        registers: 0,
        positions: 'learned',
        ropeTheta: 10,
        normEps: 1e-5
      },
      patchSize: 14,
      grid: 2
    })
  })
})

describe('registers', () => {
  const registers = counting([1, 4, 2])
  const facebook: Weights = new Map([
    ['cls_token', counting([1, 1, 2], 100)],
    ['mask_token', counting([1, 2])],
    ['pos_embed', counting([1, 5, 2])],
    ['register_tokens', registers],
    ['patch_embed.proj.weight', counting([2, 3, 14, 14])],
    ['blocks.0.mlp.fc1.weight', counting([8, 2])],
    ['blocks.0.mlp.fc2.weight', counting([2, 8])]
  ])

  test.each([
    ['huggingface', huggingFace(['embeddings.register_tokens', registers])],
    ['facebook', facebook]
  ] as [Dinov2Layout, Weights][])(
    'of the %s layout take the cls position into the cls token, as timm',
    async (layout, weights) => {
      expect(detectDinov2(weights.keys())).toBe(layout)
      const mapped = mapDinov2(weights)
      expect(mapped.get('reg_token')?.shape).toEqual([1, 4, 2])
      // The first position is (0, 1).
      expect(await values(mapped, 'cls_token')).toEqual([100, 102])
      expect(mapped.get('pos_embed')?.shape).toEqual([1, 4, 2])
      expect(await values(mapped, 'pos_embed')).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
      expect(dinov2Config(mapped, { num_attention_heads: 2 })).toMatchObject({ grid: 2, vit: { registers: 4 } })
    }
  )

  test('in timm names stay as they are', async () => {
    const weights: Weights = new Map([
      ['cls_token', counting([1, 1, 2], 100)],
      ['pos_embed', counting([1, 4, 2])],
      ['reg_token', registers],
      ['patch_embed.proj.weight', counting([2, 3, 14, 14])]
    ])
    expect(detectDinov2(weights.keys())).toBe('timm')
    expect(mapDinov2(weights)).toEqual(weights)
  })
})

describe('SwiGLU', () => {
  const swiglu = (weights: [string, WeightTensor][]) =>
    new Map([...[...huggingFace()].filter(([name]) => !name.includes('mlp.')), ...weights])
  const layers = (name: string, make: () => WeightTensor): [string, WeightTensor][] =>
    [0, 1].map((index) => [`encoder.layer.${index}.mlp.${name}`, make()])

  test('of transformers 5: gate before value', async () => {
    const mapped = mapDinov2(
      swiglu([
        ...layers('up_proj.weight', () => counting([3, 2], 10)),
        ...layers('gate_proj.weight', () => counting([3, 2])),
        ...layers('down_proj.weight', () => counting([2, 3]))
      ])
    )
    expect(await values(mapped, 'blocks.0.mlp.fc1.weight')).toEqual([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15])
    expect(mapped.get('blocks.0.mlp.fc2.weight')?.shape).toEqual([2, 3])
    // As timm counts: 3 of the gate and 3 of the value over the width 2.
    expect(dinov2Config(mapped, { num_attention_heads: 1 }).vit).toMatchObject({ mlp: 'swiglu', mlpRatio: 3 })
  })

  test('of the hub and of the original repository', () => {
    expect(dinov2Name('encoder.layer.3.mlp.weights_in.bias', 'huggingface')).toBe('blocks.3.mlp.fc1.bias')
    expect(dinov2Name('encoder.layer.3.mlp.weights_out.weight', 'huggingface')).toBe('blocks.3.mlp.fc2.weight')
    expect(dinov2Name('blocks.3.mlp.w12.bias', 'facebook')).toBe('blocks.3.mlp.fc1.bias')
    expect(dinov2Name('blocks.1.23.mlp.w3.weight', 'facebook')).toBe('blocks.23.mlp.fc2.weight')
  })

  test('with a part missing is refused', () => {
    const parts = swiglu(layers('up_proj.weight', () => counting([3, 2])))
    expect(() => mapDinov2(parts)).toThrow('Parts of "blocks.0.mlp.fc1.weight" are missing')
  })
})

test('DINO v1 on the hub has the names of a plain ViT', () => {
  const names = {
    'encoder.layer.3.layernorm_before.weight': 'blocks.3.norm1.weight',
    'encoder.layer.3.layernorm_after.bias': 'blocks.3.norm2.bias',
    'encoder.layer.3.attention.output.dense.weight': 'blocks.3.attn.proj.weight',
    'encoder.layer.3.intermediate.dense.weight': 'blocks.3.mlp.fc1.weight',
    'encoder.layer.3.output.dense.bias': 'blocks.3.mlp.fc2.bias',
    'pooler.dense.weight': undefined
  }
  for (const [name, expected] of Object.entries(names)) expect(dinov2Name(name, 'huggingface')).toBe(expected)
})

describe('other checkpoints', () => {
  test('are not mistaken for DINOv2', () => {
    expect(detectDinov2(['encoder.model.cls_token', 'quant_conv.weight'])).toBeUndefined()
    expect(() => mapDinov2(new Map([['x', counting([1])]]))).toThrow('Not a DINOv2 checkpoint; its first tensors are x')
  })

  test('tensors that DINOv2 does not have are named', () => {
    const weights = huggingFace(['encoder.layer.0.adapter.weight', counting([1])])
    expect(() => mapDinov2(weights)).toThrow(
      'Unexpected tensor "encoder.layer.0.adapter.weight" in a DINOv2 checkpoint'
    )
  })

  test('settings that shapes do not determine must be given', () => {
    expect(() => dinov2Config(mapDinov2(huggingFace()))).toThrow('The number of heads for width 2 is unknown')
    expect(() => dinov2Config(mapDinov2(huggingFace()), { num_attention_heads: -2 })).toThrow(
      'Expected a divisor of width 2 for num_attention_heads in config.json but received -2'
    )
    expect(() => dinov2Config(new Map())).toThrow('The DINOv2 checkpoint lacks "patch_embed.proj.weight"')
  })
})
