"""An image folder to latent shards as LightningDiT writes them: PIL's crops in loader workers, each image decoded for each of its two views."""

import os
import shutil
import tempfile

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from harness import answer, autocast, device_of, load, read_spec, rounds
from timm.layers import set_fused_attn
from tokenizer import build


def centre_crop(image, size):
    """ADM's: halved by BOX while twice as large as needed, then bicubic, then the centre."""
    while min(image.size) >= 2 * size:
        image = image.resize(tuple(side // 2 for side in image.size), Image.Resampling.BOX)
    scale = size / min(image.size)
    image = image.resize(tuple(round(side * scale) for side in image.size), Image.Resampling.BICUBIC)
    pixels = np.array(image)
    top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
    return Image.fromarray(pixels[top : top + size, left : left + size])


def loader(spec, mirrored):
    size = spec['tokenizer']['imageSize']
    transform = transforms.Compose(
        [
            transforms.Lambda(lambda image: centre_crop(image, size)),
            transforms.RandomHorizontalFlip(p=1.0 if mirrored else 0.0),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    return DataLoader(ImageFolder(spec['data'], transform), spec['batch'], num_workers=spec.get('loaders', 1), shuffle=False, pin_memory=device_of(spec).type == 'cuda')


def main():
    spec = read_spec()
    set_fused_attn(spec.get('attention', 'sdpa') == 'sdpa')
    weights = load(os.path.join(spec['folder'], 'model.safetensors'), spec)
    model = build(spec, {f'model.{name}': value for name, value in weights.items()}).eval()
    encode = torch.compile(model.encode) if spec.get('compiled') else model.encode
    samples = []

    def latents_of(images):
        return encode(images.to(device_of(spec), non_blocking=True))[0].float().cpu()

    def one_pass():
        folder = tempfile.mkdtemp(dir=spec['scratch'], prefix='theirs-')
        latents, flipped, labels = [], [], []
        with torch.inference_mode(), autocast(spec):
            for (images, label), (mirror, _) in zip(loader(spec, False), loader(spec, True)):
                latents.append(latents_of(images))
                flipped.append(latents_of(mirror))
                labels.append(label)
        latents, flipped, labels = torch.cat(latents), torch.cat(flipped), torch.cat(labels)
        save_file(
            {'latents': latents, 'latents_flip': flipped, 'labels': labels},
            os.path.join(folder, 'latents_rank00_shard000.safetensors'),
            metadata={'total_size': str(len(latents)), 'dtype': 'float32', 'device': 'cpu'},
        )
        both = torch.cat([latents, flipped])
        torch.save({'mean': both.mean((0, 1), keepdim=True), 'std': both.std((0, 1), keepdim=True)}, os.path.join(folder, 'latents_stats.pt'))
        samples[:] = samples or latents[:4].flatten().tolist()
        shutil.rmtree(folder)

    size = spec['tokenizer']['imageSize']
    with torch.inference_mode(), autocast(spec):
        latents_of(torch.zeros(spec['batch'], 3, size, size))  # compiles
    answer(spec, **rounds({**spec, 'warmup': 0}, one_pass), samples=samples)


main()
