"""PSNR of decoded pictures on 256 levels by scikit-image."""

import torch
from skimage.metrics import peak_signal_noise_ratio

from golden import normal, pixels, save, signed


def make() -> None:
    originals = pixels(700, 3, 8, 8)
    decoded = (signed(originals) + 0.2 * normal(701, 3, 3, 8, 8)).float()  # some values beyond [-1, 1]
    levels = ((decoded + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
    psnr = [peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=255) for a, b in zip(originals, levels)]
    save("metrics", {"originals": originals, "decoded": decoded, "psnr": torch.tensor(psnr)}, "skimage.metrics.peak_signal_noise_ratio")
