"""timm's resampling of position embeddings and patch kernels."""

import torch
from timm.layers import resample_abs_pos_embed, resample_patch_embed

from golden import normal, save

GRIDS = [(4, 4, 7, 7), (7, 7, 4, 4), (5, 5, 5, 3), (37, 37, 16, 16)]
PATCHES = [(14, 16), (16, 8), (14, 7)]


def make() -> None:
    tensors = {}
    for index, (h, w, new_h, new_w) in enumerate(GRIDS):
        for prefix in (0, 1):
            width = 2 if h > 20 else 4
            positions = normal(300 + index, 1, prefix + h * w, width).float()
            key = f"positions.{prefix}.{h}x{w}.{new_h}x{new_w}"
            tensors[f"{key}.from"] = positions
            tensors[f"{key}.to"] = resample_abs_pos_embed(positions, [new_h, new_w], [h, w], num_prefix_tokens=prefix)
    for index, (old, new) in enumerate(PATCHES):
        kernel = normal(310 + index, 3, 3, old, old).float()
        tensors[f"kernel.{old}.{new}.from"] = kernel
        tensors[f"kernel.{old}.{new}.to"] = resample_patch_embed(kernel, [new, new])
    save("resample", tensors, "timm.layers resample_abs_pos_embed, resample_patch_embed (bicubic, antialias), float32")
