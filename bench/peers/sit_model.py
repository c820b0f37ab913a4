"""SiT on tokens as its authors wrote it: timm's Attention and Mlp, adaLN-Zero, parameter names of the published checkpoints."""

import math

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Attention, Mlp
from torch import nn

from harness import device_of, load


class ProductAttention(Attention):
    """The same by batched products, which on a CPU in bfloat16 are faster than the fused kernel with its backward pass."""

    def forward(self, x, attn_mask=None, is_causal=False):
        batch, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q * self.scale @ k.transpose(-2, -1)).softmax(-1)
        return self.proj((weights.to(v.dtype) @ v).transpose(1, 2).reshape(batch, tokens, width))


def modulate(x, shift, scale):
    return x * (1 + scale.unsqueeze(1)) + shift.unsqueeze(1)


class TimestepEmbedder(nn.Module):
    def __init__(self, width, frequencies=256):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        half = frequencies // 2
        waves = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer('waves', waves, persistent=False)

    def forward(self, t):
        angles = t[:, None].float() * self.waves[None]
        return self.mlp(torch.cat([angles.cos(), angles.sin()], -1))


class LabelEmbedder(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)

    def forward(self, labels):
        return self.embedding_table(labels)


class Block(nn.Module):
    def __init__(self, width, heads, attention):
        super().__init__()
        kind = ProductAttention if attention == 'bmm' else Attention
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = kind(width, num_heads=heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(width, 4 * width, act_layer=lambda: nn.GELU(approximate='tanh'), drop=0)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=1)
        x = x + gate1.unsqueeze(1) * self.attn(modulate(self.norm1(x), shift1, scale1))
        return x + gate2.unsqueeze(1) * self.mlp(modulate(self.norm2(x), shift2, scale2))


class FinalLayer(nn.Module):
    def __init__(self, width, outputs):
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, outputs)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x, c):
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))


class SiT(nn.Module):
    def __init__(self, latent_shape, width, depth, heads, classes, attention='sdpa'):
        super().__init__()
        tokens, channels = latent_shape
        self.classes = classes
        self.x_embedder = nn.Linear(channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(classes, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width), requires_grad=False)
        self.blocks = nn.ModuleList(Block(width, heads, attention) for _ in range(depth))
        self.final_layer = FinalLayer(width, channels)

    def forward(self, x, t, y):
        x = self.x_embedder(x) + self.pos_embed
        c = self.t_embedder(t) + self.y_embedder(y)
        for block in self.blocks:
            x = block(x, c)
        return self.final_layer(x, c)


def load_sit(spec):
    """The network of a spec's `generator` (our config.json) with the weights beside it."""
    config = spec['generator']
    model = SiT(config['latentShape'], config['width'], config['depth'], config['heads'], config['classes'], spec.get('attention', 'sdpa'))
    model.load_state_dict(load(spec['weights'], spec))
    return model.to(device_of(spec))
