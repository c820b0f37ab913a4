"""What one of our kernels stands for, forth and back, in the operations that a PyTorch user writes."""

import torch
import torch.nn.functional as F

from harness import answer, autocast, read_spec, rounds

HEADS = 2


def values(shape, dtype, phase, products):
    count = torch.Size(shape).numel()
    data = torch.sin(0.37 * torch.arange(count, dtype=torch.float64) + phase)
    return data.view(shape).to(torch.float32).to(products if dtype == 'product' else getattr(torch, dtype))


def attend(kind):
    def split(x):
        return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)

    def attention(q, k, v):
        q, k, v = split(q), split(k), split(v)
        if kind == 'sdpa':
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        return y.transpose(1, 2).flatten(2)

    return attention


def unit_distance(x):
    """LPIPS's, of features that lie channels last and the same a channel on."""

    def unit(features):
        features = features.float()
        return features / (torch.linalg.vector_norm(features, dim=1, keepdim=True) + 1e-10)

    weight = torch.linspace(0.5, 1.5, x.shape[1]).view(1, -1, 1, 1)
    return ((unit(x) - unit(x.detach().roll(1, 1))).square() * weight).sum(1).flatten(1)


def kernels(kind, products):
    attention = attend(kind)

    def norm(x):
        return F.layer_norm(x, x.shape[-1:], eps=1e-6)

    return {
        'linear': F.linear,
        'layerNorm': lambda x, weight, bias: F.layer_norm(x, weight.shape, weight, bias, 1e-6).to(products),
        'modulatedNorm': lambda x, scale, shift: (norm(x) * scale + shift).to(products),
        'residual': lambda x, branch, gamma: x + branch * gamma,
        'gatedResidual': lambda x, branch, gamma: x + branch * gamma,
        'unitDistance': lambda x: unit_distance(x.permute(0, 3, 1, 2)),
        'gelu': F.gelu,
        'geluTanh': lambda x: F.gelu(x, approximate='tanh'),
        'attention': lambda qkv: attention(*qkv.chunk(3, -1)),
        'prunedAttention': lambda q, kv: attention(q, *kv.chunk(2, -1)),
    }


def main():
    spec = read_spec()
    products = torch.bfloat16 if spec['precision'] == 'bf16' else torch.float32
    f = kernels(spec['attention'], products)[spec['kernel']]
    if spec['compiled']:
        f = torch.compile(f)
    inputs = [values(**given, phase=i, products=products).requires_grad_() for i, given in enumerate(spec['inputs'])]
    upstream = values(**spec['upstream'], phase=9, products=products)

    def step():
        with autocast(spec):
            output = f(*inputs)
        return [output, *torch.autograd.grad(output, inputs, upstream)]

    norms = [result.detach().double().flatten()[:4096].norm().item() for result in step()]
    answer(spec, **rounds(spec, step), losses=norms[:2])


main()
