"""MacTok's tokenizers and generators in PyTorch: loads the npm package's folders, encodes, decodes and samples.

Needs torch and safetensors, nothing else: copy this file to where it is used.

    from mactok import Generator, Tokenizer

    tokenizer = Tokenizer.load("models/b128")              # or a run folder, or a checkpoint
    latents = tokenizer.encode(images)                     # uint8 [B, H, W, 3] or float [B, 3, H, W] -> [B, L, Z]
    images = tokenizer.decode(latents)                     # [B, 3, H, W], about [-1, 1]
    generator = Generator.load("models/xl")
    latents = generator.sample([3, 7], guidance=2)         # two samples, ready to decode

Parameters have the names that they have in the files. Random numbers are the npm package's, so the same seed gives the
same samples. For half precision use torch.autocast.

B: batch, L: latent tokens, Z: their channels, N: image tokens (patches), D: width, T: all tokens, d: width of a head.
"""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file

# ----------------------------------------------------------------------------------------------------------------------
# Folders


def read_folder(folder, kind):
    """config.json and weights of a model folder, a checkpoint or a run folder; averaged weights if there are any."""
    folder = Path(folder)
    if not (folder / "config.json").exists():
        # state.json is written last: a checkpoint that has it is complete
        checkpoints = sorted(folder.glob("checkpoints/step-*/state.json"), key=lambda f: int(f.parent.name[5:]))
        folder = checkpoints[-1].parent if checkpoints else folder
    text = (folder / "config.json").read_text(encoding="utf-8")
    config = json.loads(text, object_hook=lambda entries: SimpleNamespace(**entries))
    if (getattr(config, "formatVersion", None), getattr(config, "model", None)) != (1, kind):
        raise ValueError(f"{folder / 'config.json'} is not the configuration of a mactok {kind}")
    averaged = folder / "ema.safetensors"
    if averaged.name in vars(getattr(config, "sha256", SimpleNamespace())) and not averaged.exists():
        raise FileNotFoundError(f"{folder} is incomplete: copy {averaged.name}, the averaged weights, to it")
    return config, load_file(averaged if averaged.exists() else folder / "model.safetensors")


# ----------------------------------------------------------------------------------------------------------------------
# Random numbers: Philox4x32-10 (Salmon et al. 2011), a function of seed, stream and sample number

MASK = 0xFFFFFFFF


def random_words(seed, stream, samples, count):
    """int64 [len(samples), count], each 32 random bits; row i is that of sample number samples[i]."""
    key = 0xCBF29CE484222325  # FNV-1a of the stream's name and the seed
    for byte in stream.encode() + seed.to_bytes(8, "little"):
        key = ((key ^ byte) * 0x100000001B3) % 2**64
    k0, k1 = key & MASK, key >> 32
    c0 = torch.arange((count + 3) // 4).expand(len(samples), -1)
    c1 = torch.zeros_like(c0)
    c2 = torch.tensor([[i & MASK] for i in samples]).expand_as(c0)
    c3 = torch.tensor([[i >> 32] for i in samples]).expand_as(c0)
    for _ in range(10):
        # int64 products wrap around, which leaves their 64 bits as they should be
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (p1 >> 32 & MASK) ^ c1 ^ k0, p1 & MASK, (p0 >> 32 & MASK) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return torch.stack([c0, c1, c2, c3], -1).flatten(1)[:, :count]


def random_normal(seed, stream, samples, shape):
    """Standard normals, float32 [len(samples), *shape], by Box-Muller in double precision."""
    count = math.prod(shape)
    words = random_words(seed, stream, samples, count + count % 2).double().unflatten(1, (-1, 2))
    radius = (-2 * ((words[..., 0] + 0.5) * 2.0**-32).log()).sqrt()
    angle = 2 * math.pi * (words[..., 1] * 2.0**-32)
    pairs = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    return pairs.flatten(1)[:, :count].float().unflatten(1, shape)


# ----------------------------------------------------------------------------------------------------------------------
# Layers. Norms are computed in float32, under autocast too.


class LayerNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.float())


class RMSNorm(nn.RMSNorm):
    def forward(self, x):
        return super().forward(x.float())


class LayerScale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x):
        return x * self.gamma


class Mlp(nn.Module):
    def __init__(self, width, hidden, gelu="none"):
        super().__init__()
        self.gelu = gelu
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate=self.gelu))


class SwiGLU(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x):
        gate, value = self.w12(x).chunk(2, -1)
        return self.w3(F.silu(gate) * value)


class PatchEmbed(nn.Module):
    def __init__(self, channels, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)  # [B, N, D]


def unpatchify(x, grid, patch):
    """[B, N, p*p*C] -> [B, C, H, W]"""
    x = x.unflatten(2, (patch, patch, -1)).unflatten(1, (grid, grid))  # [B, g, g, p, p, C]
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class Attention(nn.Module):
    def __init__(self, width, heads, qk_norm=False):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.q_norm, self.k_norm = (RMSNorm(width // heads, eps=1e-6) if qk_norm else nn.Identity() for _ in "qk")

    def forward(self, x, rotation=None):
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, heads, d]
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [B, heads, T, d] each
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def rotate(x, rotation):
    """Rotary positions: multiplies pairs of channels by complex numbers of length 1, [heads or 1, T, d/2]."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * rotation).flatten(-2).to(x.dtype)


# ----------------------------------------------------------------------------------------------------------------------
# Tokenizer


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.width
        self.norm1, self.norm2 = LayerNorm(width, eps=1e-6), LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, config.heads)
        self.mlp = Mlp(width, math.floor(width * config.mlpRatio + 0.5))
        scaled = config.layerScale is not None
        self.ls1, self.ls2 = (LayerScale(width) if scaled else nn.Identity() for _ in range(2))

    def forward(self, x, rotation):
        x = x + self.ls1(self.attn(self.norm1(x), rotation))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Vit(nn.Module):
    """What encoder and decoder share. The first of the learned positions is that of cls, if there is a cls token."""

    def __init__(self, config, grid, latents, learned_positions):
        super().__init__()
        self.config, self.grid = config, grid
        width, cls = config.width, int(config.cls)
        positions = grid * grid + cls
        self.latent_pos_embed = nn.Parameter(torch.empty(1, latents, width))
        self.cls_token = nn.Parameter(torch.empty(1, 1, width)) if cls else None
        self.pos_embed = nn.Parameter(torch.empty(1, positions, width)) if learned_positions else None
        rope = config.positions == "rope"
        self.rope_freqs = nn.Parameter(torch.empty(2, config.depth, width // 2)) if rope else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = LayerNorm(width, eps=1e-6)

    def place(self, x):
        """cls and image tokens x [B, N, D], with their positions: two lists to concatenate."""
        cls = [] if self.cls_token is None else [self.cls_token.expand(len(x), -1, -1)]
        if self.pos_embed is not None:
            x = x + self.pos_embed[:, len(cls) :]
            cls = [token + self.pos_embed[:, :1] for token in cls]
        return cls, [x]

    def rotation(self, block, first, count):
        """Mixed RoPE of a block: angles for the image tokens, which begin at `first`, and 0 for all others."""
        if self.rope_freqs is None:
            return None
        side = torch.arange(self.grid, device=self.rope_freqs.device)
        x, y = side.repeat(self.grid)[:, None], side.repeat_interleave(self.grid)[:, None]
        angles = x * self.rope_freqs[0, block] + y * self.rope_freqs[1, block]  # [N, D/2]
        angles = angles.unflatten(1, (self.config.heads, -1)).transpose(0, 1)  # [heads, N, d/2]
        angles = F.pad(angles, (0, 0, first, count - first - self.grid**2))
        return torch.polar(torch.ones_like(angles), angles)

    def transform(self, x, first_patch):
        for i, block in enumerate(self.blocks):
            x = block(x, self.rotation(i, first_patch, x.shape[1]))
        return self.norm(x)


class Encoder(Vit):
    """Tokens: latents, cls, patches."""

    def __init__(self, config):
        super().__init__(config.encoder, config.imageSize // config.patchSize, config.latentTokens, True)
        width = config.encoder.width
        self.patch_embed = PatchEmbed(3, config.patchSize, width)
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.latent_tokens = nn.Parameter(torch.empty(1, config.latentTokens, width))

    def forward(self, images, mask=None):
        x = self.patch_embed(images)
        if mask is not None:
            x = torch.where(mask.bool()[:, :, None], self.mask_token, x)
        latents = (self.latent_tokens + self.latent_pos_embed).expand(len(x), -1, -1)
        cls, patches = self.place(x)
        count = latents.shape[1]
        x = self.transform(torch.cat([latents, *cls, *patches], 1), count + len(cls))
        return x[:, :count]  # [B, L, D]


class Decoder(Vit):
    """Tokens: patches, cls, latents. RoPE replaces the learned positions."""

    def __init__(self, config):
        learned = config.decoder.positions == "learned"
        super().__init__(config.decoder, config.imageSize // config.patchSize, config.latentTokens, learned)
        self.reconstruction_token = nn.Parameter(torch.empty(1, 1, config.decoder.width))

    def forward(self, x):
        cls, patches = self.place(self.reconstruction_token.expand(len(x), self.grid**2, -1))
        x = self.transform(torch.cat([*patches, *cls, x + self.latent_pos_embed], 1), 0)
        return x[:, : self.grid**2]  # [B, N, D]


class SoftQuantizer(nn.Module):
    """SoftVQ: every latent becomes a mixture of codes."""

    def __init__(self, config, channels):
        super().__init__()
        self.config = config
        self.embedding = nn.Parameter(torch.empty(config.codebooks, config.codebookSize, channels))

    def forward(self, x):
        runs = x.unflatten(1, (self.config.codebooks, -1)).transpose(0, 1)  # [K, B, L/K, Z]
        tokens, codes = runs.flatten(1, 2), self.embedding
        if self.config.normalise:
            tokens, codes = F.normalize(tokens, dim=-1), F.normalize(codes, dim=-1)
        mixed = (tokens @ codes.mT / self.config.temperature).softmax(-1) @ codes
        return mixed.view(runs.shape).transpose(0, 1).flatten(1, 2)


class Tokenizer(nn.Module):
    """Images to L latent tokens of Z channels, and back."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        kl, softvq = config.bottleneck == "kl", config.bottleneck == "softvq"
        self.encoder = Encoder(config)
        self.to_posterior = nn.Linear(config.encoder.width, (2 if kl else 1) * config.latentChannels)
        self.quantize = SoftQuantizer(config.softvq, config.latentChannels) if softvq else nn.Identity()
        self.from_latents = nn.Linear(config.latentChannels, config.decoder.width)
        self.decoder = Decoder(config)
        self.to_pixels = nn.Linear(config.decoder.width, 3 * config.patchSize**2)

    @staticmethod
    def load(folder):
        config, weights = read_folder(folder, "tokenizer")
        tokenizer = Tokenizer(config.tokenizer)
        tokenizer.load_state_dict(weights)
        return tokenizer.eval()

    def posterior(self, images, mask=None):
        """Mean and log-variance, [B, L, Z] each; None instead of the latter unless the bottleneck is kl.

        images: uint8 [B, H, W, 3], or float [B, 3, H, W] in [-1, 1]. mask: bool [B, N], true where a patch is hidden.
        """
        if images.dtype == torch.uint8:
            images = images.permute(0, 3, 1, 2).float() / 127.5 - 1
        x = self.encoder(images, mask)
        with torch.autocast(x.device.type, enabled=False):
            moments = self.to_posterior(x)
            if self.config.bottleneck != "kl":
                return self.quantize(moments), None
            mean, logvar = moments.chunk(2, -1)
            return mean, logvar.clamp(*self.config.logvarRange)

    @torch.no_grad()
    def encode(self, images, sample=False, seed=0, first_index=0):
        """Latents [B, L, Z]: the posterior's means, or samples, whose noise depends on seed and number of the image."""
        mean, logvar = self.posterior(images)
        if not sample or logvar is None:
            return mean
        numbers = range(first_index, first_index + len(mean))
        noise = random_normal(seed, "encode", numbers, mean.shape[1:]).to(mean.device)
        return mean + (0.5 * logvar).exp() * noise

    @torch.no_grad()
    def decode(self, latents):
        """Images [B, 3, H, W], about [-1, 1], not clamped."""
        pixels = self.to_pixels(self.decoder(self.from_latents(latents))).float()  # [B, N, 3*p*p]
        return unpatchify(pixels, self.decoder.grid, self.config.patchSize)


# ----------------------------------------------------------------------------------------------------------------------
# Generator: SiT and LightningDiT


class TimestepEmbedder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t):
        frequencies = torch.exp(-math.log(10000) * torch.arange(128, device=t.device) / 128)
        angles = t[:, None] * frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], 1))


class LabelEmbedder(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.embedding_table = nn.Embedding(classes + 1, width)  # the last row stands for no class

    def forward(self, labels):
        return self.embedding_table(labels)


def modulation(width, vectors):
    return nn.Sequential(nn.SiLU(), nn.Linear(width, vectors * width))


def norm_of(config):
    if config.model == "lightning-dit":
        return RMSNorm(config.width, eps=1e-6)
    return LayerNorm(config.width, eps=1e-6, elementwise_affine=False)


class DitBlock(nn.Module):
    """adaLN-Zero. LightningDiT has RMS norms, SwiGLU and rotary positions, and may do without shifts."""

    def __init__(self, config):
        super().__init__()
        width, hidden = config.width, int(config.width * config.mlpRatio)
        lightning = config.model == "lightning-dit"
        self.shifted = config.shift
        self.norm1, self.norm2 = norm_of(config), norm_of(config)
        self.attn = Attention(width, config.heads, config.qkNorm)
        self.mlp = SwiGLU(width, 2 * hidden // 3) if lightning else Mlp(width, hidden, gelu="tanh")
        self.adaLN_modulation = modulation(width, 6 if config.shift else 4)

    def forward(self, x, condition, rotation):
        vectors = self.adaLN_modulation(condition).float()[:, None]  # [B, 1, 6D or 4D]
        if self.shifted:
            shift1, scale1, gate1, shift2, scale2, gate2 = vectors.chunk(6, -1)
        else:
            shift1, shift2 = 0, 0
            scale1, gate1, scale2, gate2 = vectors.chunk(4, -1)
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1, rotation)
        return x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)


class FinalLayer(nn.Module):
    def __init__(self, config, outputs):
        super().__init__()
        self.norm_final = norm_of(config)
        self.linear = nn.Linear(config.width, outputs)
        self.adaLN_modulation = modulation(config.width, 2)

    def forward(self, x, condition):
        shift, scale = self.adaLN_modulation(condition).float()[:, None].chunk(2, -1)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)


def rotary(positions, width, theta=10000):
    """positions [n] * theta^(-2i / width) for i < width / 2, double [n, width / 2]."""
    exponents = torch.arange(0, width, 2, dtype=torch.float64) / width
    return positions.double()[:, None] * theta**-exponents


class Generator(nn.Module):
    """A flow from noise, at time 0, to a tokenizer's latents, at time 1."""

    def __init__(self, config):
        super().__init__()
        generator = config.generator
        self.config, self.statistics, self.class_names = generator, config.statistics, config.classNames
        width, shape, patch = generator.width, generator.latentShape, generator.patchSize
        self.on_grid = len(shape) == 3  # [C, H, W] of a two-dimensional tokenizer, else [L, Z]
        self.grid = shape[-1] // patch
        channels, tokens = (shape[0], self.grid**2) if self.on_grid else (shape[1], shape[0])
        self.x_embedder = PatchEmbed(channels, patch, width) if self.on_grid else nn.Linear(channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(generator.classes, width)
        self.pos_embed = nn.Parameter(torch.empty(1, tokens, width), requires_grad=False)
        self.blocks = nn.ModuleList(DitBlock(generator) for _ in range(generator.depth))
        outputs = channels * patch * patch * (2 if generator.learnSigma else 1)
        self.final_layer = FinalLayer(generator, outputs)
        self.register_buffer("rotation", self.rotations(tokens), persistent=False)

    @staticmethod
    def load(folder):
        config, weights = read_folder(folder, "generator")
        generator = Generator(config)
        generator.load_state_dict(weights)
        return generator.eval()

    def rotations(self, tokens):
        """LightningDiT's rotary positions, complex [1, T, d/2]."""
        if self.config.model != "lightning-dit":
            return None
        head = self.config.width // self.config.heads
        if self.on_grid:
            side = torch.arange(self.grid)
            y, x = side.repeat_interleave(self.grid), side.repeat(self.grid)
            angles = torch.cat([rotary(y, head // 2), rotary(x, head // 2)], 1)
        else:
            angles = rotary(torch.arange(tokens), head)
        angles = angles.float()[None]
        return torch.polar(torch.ones_like(angles), angles)

    def forward(self, x, times, labels):
        """What the network predicts, float32 of x's shape. times: [B], in the network's own direction; labels: [B]."""
        condition = self.t_embedder(times) + self.y_embedder(labels)  # [B, D]
        x = self.x_embedder(x) + self.pos_embed  # [B, T, D]
        for block in self.blocks:
            x = block(x, condition, self.rotation)
        x = self.final_layer(x, condition).float()
        if self.on_grid:
            x = unpatchify(x, self.grid, self.config.patchSize)
        return x.chunk(2, 1 if self.on_grid else -1)[0] if self.config.learnSigma else x

    def predict(self, x, t, labels):
        """The network's output at time t of our direction, 0 for noise and 1 for data."""
        times = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        if self.config.flow.time == "data_at_1":
            return self(x, times, labels)
        output = self(x, 1 - times, labels)
        return -output if self.config.flow.prediction == "velocity" else output

    def velocity(self, output, x, t):
        """The velocity that an output at time t implies."""
        flow = self.config.flow
        if flow.prediction == "velocity":
            return output
        sigma, d_sigma, ratio = noise_path(flow.path, t)
        noise = output if flow.prediction == "noise" else -sigma * output
        return ratio * x - (ratio * sigma - d_sigma) * noise

    @torch.no_grad()
    def sample(
        self,
        labels=None,  # classes, by number or name; None: random ones
        count=None,  # number of samples, which take the labels in turn; None: one for each label
        steps=50,
        sampler="heun",  # or euler; heun evaluates the network twice per step
        guidance=1.0,  # above 1: away from the prediction without a class
        low=0.0,  # guidance applies between these times
        high=1.0,
        channels=None,  # guide the first channels only; 3 for the published scales of SiT and LightningDiT
        shift=1.0,  # below 1: more steps at high noise; LightningDiT's is 0.3
        seed=0,
        first_index=0,  # number of the first sample: each depends on seed and number alone
        noise=None,  # to start from, instead of the seed's
    ):
        """Draws latents [B, L, Z] or [B, C, H, W], ready to decode."""
        if sampler not in ("heun", "euler"):
            raise ValueError(f"sampler: expected heun or euler but received {sampler}")
        device = self.pos_embed.device
        labels = self.choose_labels(labels, count, seed, first_index).to(device)
        none = torch.full_like(labels, self.config.classes)
        numbers = range(first_index, first_index + len(labels))
        x = random_normal(seed, "sample/noise", numbers, self.config.latentShape) if noise is None else noise
        x = x.to(device)

        def field(x, t):
            if guidance == 1 or not low <= t <= high:
                return self.velocity(self.predict(x, t, labels), x, t)
            both = self.predict(torch.cat([x, x]), t, torch.cat([labels, none]))
            good, weak = both.chunk(2)
            guided = weak + guidance * (good - weak)
            if channels is not None:
                axis = 1 if self.on_grid else 2
                rest = good.narrow(axis, channels, good.shape[axis] - channels)
                guided = torch.cat([guided.narrow(axis, 0, channels), rest], axis)
            return self.velocity(guided, x, t)

        start, end = sampling_interval(self.config.flow)
        even = [i / steps for i in range(steps + 1)]
        times = [start + shift * part / (1 + (shift - 1) * part) * (end - start) for part in even]
        for t, after in zip(times, times[1:]):
            h = after - t
            v = field(x, t)
            if sampler == "heun":
                v = 0.5 * (v + field(x + h * v, t + h))
            x = x + h * v
        return self.denormalise(x)

    def choose_labels(self, labels, count, seed, first_index):
        """Labels of samples first_index, ...: the given ones in turn, or random ones."""
        if labels is None:
            numbers = range(first_index, first_index + (count or 1))
            uniform = (random_words(seed, "sample/class", numbers, 1)[:, 0] >> 8) * 2.0**-24
            return (uniform.double() * self.config.classes).long()
        chosen = [labels] if isinstance(labels, (int, str)) else list(labels)
        chosen = [self.class_names.index(one) if isinstance(one, str) else int(one) for one in chosen]
        return torch.tensor([chosen[(first_index + i) % len(chosen)] for i in range(count or len(chosen))])

    def denormalise(self, x):
        if self.statistics is None:
            return x
        shape = (1, -1, 1, 1) if self.on_grid else (1, 1, -1)
        mean, std = (torch.tensor(v, device=x.device).view(shape) for v in (self.statistics.mean, self.statistics.std))
        return x * torch.where(std == 0, 1.0, std) + mean


def sampling_interval(flow):
    """Noise and score are not defined at both ends, nor is vp's velocity at the data."""
    if flow.path == "vp":
        return 0, 1 - 1e-3
    return (0, 1) if flow.prediction == "velocity" else (1e-3, 1 - 1e-3)


def noise_path(path, t):
    """sigma, its derivative, and alpha' / alpha of x_t = alpha * data + sigma * noise."""
    if path == "linear":
        return 1 - t, -1.0, 1 / t
    if path == "gvp":
        angle = math.pi / 2 * t
        return math.cos(angle), -math.pi / 2 * math.sin(angle), math.pi / 2 * math.cos(angle) / math.sin(angle)
    low, high, rest = 0.1, 20.0, 1 - t  # the variance-preserving diffusion's range of beta
    log_alpha = -0.25 * rest**2 * (high - low) - 0.5 * rest * low
    ratio = 0.5 * rest * (high - low) + 0.5 * low
    sigma = math.sqrt(-math.expm1(2 * log_alpha))
    return sigma, -math.exp(2 * log_alpha) * ratio / sigma, ratio
