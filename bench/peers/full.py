"""What the whole recipe has beside the tokenizer: DINOv2 as teacher, LPIPS, and a discriminator on frozen DINOv2 features."""

import math
import os
from pathlib import Path

import lpips
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn.utils import spectral_norm

from harness import device_of, load

MEAN, DEVIATION = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def normalised(images):
    return ((images + 1) / 2 - MEAN.to(images.device)) / DEVIATION.to(images.device)


def dinov2(state):
    patch, width = state['patch_embed.proj.weight'].shape[-1], state['cls_token'].shape[-1]
    side = math.isqrt(state['pos_embed'].shape[1] - 1) * patch
    depth = 1 + max(int(name.split('.')[1]) for name in state if name.startswith('blocks.'))
    model = VisionTransformer(side, patch, embed_dim=width, depth=depth, num_heads=width // 64, init_values=1.0, num_classes=0)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


class Teacher(nn.Module):
    def __init__(self, spec, state):
        super().__init__()
        self.model = dinov2(state).to(device_of(spec))
        self.side = self.model.patch_embed.img_size[0]
        self.grid = spec['tokenizer']['imageSize'] // spec['tokenizer']['patchSize']

    def forward(self, images):
        x = normalised(images)
        if x.shape[-1] != self.side:
            x = F.interpolate(x, (self.side, self.side), mode='bicubic')
        x = self.model.forward_features(x)
        return x[:, 0].float(), x[:, 1:].float()

    def scores(self, cls, patches):
        return F.cosine_similarity(cls[:, None], patches, dim=-1)


class AlignmentHeads(nn.Module):
    def __init__(self, state):
        super().__init__()
        hidden, channels = state['local.0.weight'].shape
        width = state['local.4.weight'].shape[0]
        mlp = lambda: nn.Sequential(nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, width))  # noqa: E731
        self.add_module('local', mlp())
        self.add_module('global', mlp())
        self.load_state_dict(state)

    def forward(self, latents, cls, patches):
        x = self.local(latents)
        x = x.repeat_interleave(patches.shape[1] // x.shape[1], dim=1) if patches.shape[1] % x.shape[1] == 0 else (
            F.interpolate(x.transpose(1, 2), size=patches.shape[1], mode='linear').transpose(1, 2)
        )
        near = F.cosine_similarity(x.float(), patches, dim=-1).mean()
        return near, F.cosine_similarity(getattr(self, 'global')(latents.mean(1)).float(), cls, dim=-1).mean()


def load_lpips(spec):
    model = lpips.LPIPS(net='vgg', pretrained=False, pnet_rand=True, verbose=False)
    state = load(Path(os.environ['MACTOK_WEIGHTS']) / 'lpips-vgg' / 'model.safetensors', spec)
    model.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return model.eval().requires_grad_(False).to(device_of(spec), memory_format=torch.channels_last)


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return (self.fn(x) + x) / math.sqrt(2)


def block(width, kernel):
    convolution = nn.Conv1d(width, width, kernel, padding=kernel // 2, padding_mode='circular')
    return nn.Sequential(spectral_norm(convolution), nn.BatchNorm1d(width, eps=1e-6), nn.LeakyReLU(0.2))


class Discriminator(nn.Module):
    """Heads on the features before the first block and after four others, as in VAR and SoftVQ."""

    levels = (2, 5, 8, 11)

    def __init__(self, weights):
        super().__init__()
        strip = lambda prefix: {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}  # noqa: E731
        self.backbone = dinov2(strip('backbone.'))
        width = self.backbone.embed_dim
        head = lambda: nn.Sequential(block(width, 1), Residual(block(width, 9)), spectral_norm(nn.Conv1d(width, 1, 1)))  # noqa: E731
        self.heads = nn.ModuleList(head() for _ in range(5))
        self.heads.load_state_dict(strip('discriminator.heads.'), strict=False)  # but for num_batches_tracked
        self.side = self.backbone.patch_embed.img_size[0]

    def features(self, images):
        x = normalised(images)
        size = x.shape[-1]
        if size > self.side and torch.rand(()) < 0.5:
            top, left = torch.randint(size - self.side + 1, (2,)).tolist()
            x = x[:, :, top : top + self.side, left : left + self.side]
        elif size > self.side:
            x = F.interpolate(x, (self.side, self.side), mode='area')
        elif size < self.side:
            x = F.interpolate(x, (self.side, self.side), mode='bicubic')
        return self.blocks(x)

    def blocks(self, x):
        x = self.backbone.norm_pre(self.backbone._pos_embed(self.backbone.patch_embed(x)))
        found = [x]
        for i, layer in enumerate(self.backbone.blocks):
            x = layer(x)
            if i in self.levels:
                found.append(x)
        return [(x[:, 1:].float() + x[:, :1].float()).transpose(1, 2) for x in found]

    def logits(self, features):
        return torch.cat([head(x).squeeze(1).float() for head, x in zip(self.heads, features)], 1)


def covered(batch, size, part, device):
    """[B, size]: where a randomly placed span lies."""
    side = round(size * part)
    first = torch.randint(size + 1, (batch, 1), device=device) - side // 2
    place = torch.arange(size, device=device)
    return (place >= first) & (place < first + side)


def augment(images, probability=0.5, cutout=0.2):
    """DiffAugment: color, translation, cutout; a coin for each policy, strengths for each image."""
    batch, _, height, width = images.shape
    device = images.device
    if torch.rand(()) < probability:
        images = images + (torch.rand(batch, 1, 1, 1, device=device) - 0.5)
        grey = images.mean(1, keepdim=True)
        images = (images - grey) * (2 * torch.rand(batch, 1, 1, 1, device=device)) + grey
        mean = images.mean((1, 2, 3), keepdim=True)
        images = (images - mean) * (torch.rand(batch, 1, 1, 1, device=device) + 0.5) + mean
    if torch.rand(()) < probability:
        far = round(height / 8), round(width / 8)
        rows = torch.arange(height, device=device) + torch.randint(-far[0], far[0] + 1, (batch, 1), device=device) + far[0]
        columns = torch.arange(width, device=device) + torch.randint(-far[1], far[1] + 1, (batch, 1), device=device) + far[1]
        padded = F.pad(images, (far[1], far[1], far[0], far[0]))
        images = padded[torch.arange(batch, device=device)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if torch.rand(()) < probability:
        rows, columns = (covered(batch, size, cutout, device) for size in (height, width))
        images = images * (1 - (rows[:, :, None] & columns[:, None, :]).float())[:, None]
    return images


class DiscriminatorTrainer:
    def __init__(self, spec, weights, compiled):
        self.model = Discriminator(weights).to(device_of(spec)).train()
        self.model.backbone.eval()
        self.model.blocks = compiled(self.model.blocks)
        heads = list(self.model.heads.parameters())
        decay = [value for value in heads if value.dim() > 1]
        others = [value for value in heads if value.dim() <= 1]
        groups = [{'params': decay, 'weight_decay': 1e-4}, {'params': others, 'weight_decay': 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), fused=True)
        self.trained = heads
        self.average = {'real': 0.0, 'fake': 0.0}

    def judge(self, images):
        for parameter in self.trained:
            parameter.requires_grad_(False)
        return -self.model.logits(self.model.features(augment(images))).mean()

    def step(self, images, fakes, weight):
        for parameter in self.trained:
            parameter.requires_grad_(True)
        with torch.no_grad():
            views = [augment(images), augment(fakes), augment(images, 1.0, 0.5), augment(fakes, 1.0, 0.5)]
            features = self.model.features(torch.cat(views))
        real, fake, strong_real, strong_fake = (
            self.model.logits(list(group)) for group in zip(*(level.chunk(4) for level in features))
        )
        hinge = (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2
        for name, logits in (('real', real), ('fake', fake)):
            self.average[name] = 0.999 * self.average[name] + 0.001 * logits.detach().mean()
        lecam = F.relu(real - self.average['fake']).square().mean() + F.relu(self.average['real'] - fake).square().mean()
        consistency = F.mse_loss(torch.cat([real, fake]), torch.cat([strong_real, strong_fake]))
        (weight * (hinge + 1e-3 * lecam) + 4 * consistency).backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
