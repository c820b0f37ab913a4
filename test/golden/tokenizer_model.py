"""The tokenizer of the method in plain PyTorch with timm's blocks, written for reading, not for speed.

Parameter names are the library's. `check` compares it with the outputs of the code that the paper builds on
(tokenizer_kl.safetensors, tokenizer_maetok.safetensors).
"""

from functools import partial

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from timm.layers import PatchEmbed
from timm.models.vision_transformer import Block
from torch import nn

from golden import FOLDER


def rotate(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Rotate consecutive pairs of the last axis; x [B, heads, N, d], angles [heads, N, d/2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class Vit(nn.Module):
    """Blocks over [latents, cls, image tokens]; `rope` rotates queries and keys of the image tokens by learned 2-D frequencies."""

    def __init__(self, width, depth, heads, grid, layer_scale, rope):
        super().__init__()
        self.heads, self.grid = heads, grid
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_ratio=4, qkv_bias=True, init_values=1.0 if layer_scale else None, norm_layer=norm)
            for _ in range(depth)
        )
        self.norm = norm(width)
        if rope:
            self.rope_freqs = nn.Parameter(torch.zeros(2, depth, width // 2))

    def angles(self, index: int) -> torch.Tensor:
        """[heads, N, head width / 2] of block `index`."""
        t = torch.arange(self.grid**2)
        column, line = (t % self.grid).to(self.rope_freqs), (t // self.grid).to(self.rope_freqs)
        frequencies = self.rope_freqs[:, index]  # [2, D/2]
        angles = column[:, None] * frequencies[0] + line[:, None] * frequencies[1]  # [N, D/2]
        return angles.unflatten(1, (self.heads, -1)).transpose(0, 1)

    def attention(self, block: Block, x: torch.Tensor, index: int) -> torch.Tensor:
        if not hasattr(self, "rope_freqs"):
            return block.attn(x)
        q, k, v = block.attn.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        prefix = x.shape[1] - self.grid**2
        angles = self.angles(index)
        q = torch.cat((q[:, :, :prefix], rotate(q[:, :, prefix:], angles)), dim=2)
        k = torch.cat((k[:, :, :prefix], rotate(k[:, :, prefix:], angles)), dim=2)
        return block.attn.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def transform(self, x: torch.Tensor) -> torch.Tensor:
        for index, block in enumerate(self.blocks):
            x = x + block.ls1(self.attention(block, block.norm1(x), index))
            x = x + block.ls2(block.mlp(block.norm2(x)))
        return self.norm(x)


class Encoder(Vit):
    """Keeps its learned positions beside RoPE, as MAETok does; the decoder does not."""

    def __init__(self, image, patch, tokens, width, depth, heads, layer_scale=True, cls=True, rope=False):
        super().__init__(width, depth, heads, image // patch, layer_scale, rope)
        self.patch_embed = PatchEmbed(image, patch, 3, width)
        if cls:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, int(cls) + self.grid**2, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.latent_tokens = nn.Parameter(torch.zeros(1, tokens, width))
        self.latent_pos_embed = nn.Parameter(torch.zeros(1, tokens, width))

    def forward(self, images, mask=None):
        x = self.patch_embed(images)  # [B, N, D]
        if mask is not None:
            x = torch.where(mask[..., None], self.mask_token, x)
        if hasattr(self, "cls_token"):
            x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1)
        x = x + self.pos_embed
        latents = (self.latent_tokens + self.latent_pos_embed).expand(len(x), -1, -1)
        return self.transform(torch.cat((latents, x), dim=1))[:, : latents.shape[1]]


class Decoder(Vit):
    def __init__(self, image, patch, tokens, width, depth, heads, layer_scale=True, cls=False, rope=False):
        super().__init__(width, depth, heads, image // patch, layer_scale, rope)
        self.reconstruction_token = nn.Parameter(torch.zeros(1, 1, width))
        if cls:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        if not rope:
            self.pos_embed = nn.Parameter(torch.zeros(1, int(cls) + self.grid**2, width))
        self.latent_pos_embed = nn.Parameter(torch.zeros(1, tokens, width))

    def forward(self, latents):
        x = self.reconstruction_token.expand(len(latents), self.grid**2, -1)
        if hasattr(self, "cls_token"):
            x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), dim=1)
        if hasattr(self, "pos_embed"):
            x = x + self.pos_embed
        return self.transform(torch.cat((latents + self.latent_pos_embed, x), dim=1))[:, -(self.grid**2) :]


class Tokenizer(nn.Module):
    def __init__(self, image, patch, tokens, channels, encoder, decoder, bottleneck="kl"):
        super().__init__()
        self.patch, self.bottleneck = patch, bottleneck
        self.encoder = Encoder(image, patch, tokens, **encoder)
        self.decoder = Decoder(image, patch, tokens, **decoder)
        self.to_posterior = nn.Linear(encoder["width"], channels * (2 if bottleneck == "kl" else 1))
        self.from_latents = nn.Linear(channels, decoder["width"])
        self.to_pixels = nn.Linear(decoder["width"], 3 * patch * patch)

    def encode(self, images, mask=None):
        """Mean and log-variance, [B, L, Z]; log-variance None for a plain autoencoder."""
        out = self.to_posterior(self.encoder(images, mask))
        if self.bottleneck == "ae":
            return out, None
        mean, logvar = out.chunk(2, dim=-1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, latents):
        x = self.to_pixels(self.decoder(self.from_latents(latents)))  # [B, N, 3p²]
        g, p = self.decoder.grid, self.patch
        return x.unflatten(1, (g, g)).unflatten(3, (p, p, 3)).permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


RENAMED = {
    "encoder.model.": "encoder.",
    "decoder.model.": "decoder.",
    "decoder.mask_token": "decoder.reconstruction_token",
    "quant_conv.": "to_posterior.",
    "post_quant_conv.": "from_latents.",
    "decoder.to_pixel.model.": "to_pixels.",
    "encoder.freqs": "encoder.rope_freqs",
    "decoder.freqs": "decoder.rope_freqs",
}


def ours(name: str) -> str:
    """The library's name of a parameter of continuous_tokenizer."""
    for old, new in RENAMED.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return name


@torch.no_grad()
def check() -> None:
    for kind in ("kl", "maetok"):
        golden = load_file(FOLDER / f"tokenizer_{kind}.safetensors")
        rope = kind == "maetok"
        vit = dict(width=32, depth=2, heads=2, rope=rope)
        tokens, channels = golden["latents"].shape[1:]
        model = Tokenizer(32, 4, tokens, channels, vit | dict(cls=True), vit | dict(cls=not rope), "ae" if rope else "kl")
        given = {ours(key[2:]): value for key, value in golden.items() if key.startswith("w.")}
        given["encoder.mask_token"] = model.encoder.mask_token
        missing = model.load_state_dict(given, strict=False).missing_keys
        assert not missing, missing
        mean, logvar = model.encode(golden["x"])
        torch.testing.assert_close(mean, golden["latents"], rtol=1e-5, atol=1e-7)
        if logvar is not None:
            torch.testing.assert_close(mean, golden["mean"], rtol=1e-5, atol=1e-7)
            torch.testing.assert_close(logvar, golden["logvar"], rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(model.decode(golden["latents"]), golden["reconstruction"], rtol=1e-5, atol=1e-7)
