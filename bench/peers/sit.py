"""A training step of SiT from latent shards, as SiT's and LightningDiT's scripts make it: AdamW, clipping, EMA, bf16 by autocast."""

import glob
import json
import os
from copy import deepcopy

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch.utils.data import DataLoader, Dataset

from harness import answer, autocast, device_of, load, read_spec, rounds
from sit_model import load_sit


class Latents(Dataset):
    """LightningDiT's latents, normalised by channel; a half of them mirrored. All in memory, a whole batch at a time."""

    def __init__(self, folder):
        shards = [load_file(path) for path in sorted(glob.glob(os.path.join(folder, '*.safetensors')))]
        statistics = json.load(open(os.path.join(folder, 'latents_stats.json')))
        mean, std = torch.tensor(statistics['mean']), torch.tensor(statistics['std'])
        self.latents = (torch.cat([shard['latents'] for shard in shards]) - mean) / std
        self.flipped = (torch.cat([shard['latents_flip'] for shard in shards]) - mean) / std
        self.labels = torch.cat([shard['labels'] for shard in shards])

    def __len__(self):
        return len(self.labels)

    def __getitems__(self, indices):
        rows = torch.tensor(indices)
        mirrored = (torch.rand(len(indices)) < 0.5)[:, None, None]
        return torch.where(mirrored, self.flipped[rows], self.latents[rows]), self.labels[rows]


def batches(spec):
    pinned = device_of(spec).type == 'cuda'
    loader = DataLoader(
        Latents(spec['shards']), spec['batch'], shuffle=True, drop_last=True, collate_fn=lambda batch: batch, pin_memory=pinned
    )
    while True:
        yield from loader


def main():
    spec = read_spec()
    torch.manual_seed(0)
    model = load_sit(spec)
    ema = deepcopy(model).requires_grad_(False)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    averages = [parameter for name, parameter in ema.named_parameters() if name != 'pos_embed']
    optimizer = torch.optim.AdamW(trained, lr=spec['lr'], betas=(0.9, 0.999), weight_decay=0.0, fused=True)

    def loss_of(latents, labels, noise, times):
        x = times[:, None, None] * latents + (1 - times[:, None, None]) * noise
        return F.mse_loss(model(x, times, labels).float(), latents - noise)

    forward = torch.compile(loss_of) if spec.get('compiled') else loss_of

    def train(latents, labels, noise, times):
        with autocast(spec):
            loss = forward(latents, labels, noise, times)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(averages, trained, 1e-4)
        return loss.detach()

    known = load(spec['known'], spec)
    losses = [
        train(known['latents'][i], known['labels'][i], known['noise'][i], known['times'][i]).item()
        for i in range(len(known['labels']))
    ]

    source = batches(spec)

    def step():
        latents, labels = (values.to(device_of(spec), non_blocking=True) for values in next(source))
        noise, times = torch.randn_like(latents), torch.rand(len(latents), device=latents.device)
        labels = torch.where(torch.rand(len(labels), device=latents.device) < 0.1, model.classes, labels)
        train(latents, labels, noise, times)

    answer(spec, **rounds(spec, step), losses=losses)


main()
