"""Semantic masks of the 300 ImageNet images by the real DINOv2-small in timm.

Decoders differ by a level or two, which may flip a mask's last patch, so timm gets the pixels that the library made:
node pixels.mjs ../../../shared/data/imagenet /tmp/pixels && MACTOK_PIXELS=/tmp/pixels python make.py semantic_masks
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from dinov2_small import WEIGHTS, dinov2_small
from golden import save, signed
from teacher import highest, resize, similarity
from vits import imagenet, split

COUNTS = (64, 180)  # ⌈.25·256⌉ and ⌈.7·256⌉


@torch.no_grad()
def make() -> None:
    path = os.environ.get("MACTOK_PIXELS")
    if path is None or not WEIGHTS.exists():
        print("no $MACTOK_PIXELS or no weights: semantic_masks.safetensors stays as it is")
        return
    pixels = np.fromfile(Path(path), np.uint8).reshape(-1, 256, 256, 3)
    model = dinov2_small(224, 14)
    scores = torch.cat(
        [
            similarity(*split(model, model.forward_features(imagenet(resize(signed(torch.from_numpy(batch)), 224)))), 16)
            for batch in np.split(pixels, range(20, len(pixels), 20))
        ]
    )
    ordered = scores.sort(dim=1, descending=True).values
    tensors = {"hashes": torch.tensor([list(hashlib.sha256(image.tobytes()).digest()[:8]) for image in pixels], dtype=torch.uint8)}
    for count in COUNTS:
        bits = np.packbits(highest(scores, count).numpy(), axis=1)
        tensors[f"mask.{count}"] = torch.from_numpy(bits)
        # How far the last masked score lies above the first that is not.
        tensors[f"gap.{count}"] = ordered[:, count - 1] - ordered[:, count]
    save("semantic_masks", tensors, "timm vit_small_patch14_dinov2, float64, on pixels of pixels.mjs", counts=COUNTS)
