"""LPIPS by the `lpips` package (0.1.4) on two photographs and distorted copies of them: distances and gradients.

Needs the weights `lpips-vgg` and `lpips-alex` in $MACTOK_WEIGHTS, in the package's key names.
"""

import os
from pathlib import Path

import lpips
import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import load_file

from golden import FOLDER, save, signed

WEIGHTS = Path(os.environ.get("MACTOK_WEIGHTS", FOLDER / "../../../shared/weights"))
SIDE = 64


def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    """Photographs and their distortions (blur; coarse levels and noise), uint8 [3, 64, 64, 3]; the third pair is of different ones."""
    astronaut, chelsea = (Image.open(FOLDER / f"{name}.png").convert("RGB").crop((24, 8, 24 + SIDE, 8 + SIDE)) for name in ("astronaut", "chelsea"))
    noise = np.random.Generator(np.random.PCG64(700)).normal(0, 12, (SIDE, SIDE, 3))
    noisy = np.clip(np.round(np.array(chelsea) // 32 * 32 + 16 + noise), 0, 255).astype(np.uint8)
    first = [np.array(astronaut), np.array(chelsea), np.array(astronaut)]
    second = [np.array(astronaut.filter(ImageFilter.GaussianBlur(2))), noisy, np.array(chelsea)]
    return torch.from_numpy(np.stack(first)), torch.from_numpy(np.stack(second))


def make() -> None:
    first, second = pairs()
    tensors = {"images": first, "targets": second}
    for network in ("vgg", "alex"):
        # The package's files of linear heads are those of the weights; its backbones would be downloaded.
        model = lpips.LPIPS(net=network, pretrained=False, pnet_rand=True, verbose=False).double()
        state = {key: value.double() for key, value in load_file(WEIGHTS / f"lpips-{network}" / "model.safetensors").items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected and all(key.startswith(("scaling_layer.", "lins.")) for key in missing)
        images = signed(first).requires_grad_(True)
        distance = model(images, signed(second)).flatten()
        distance.mean().backward()
        tensors |= {f"{network}.distance": distance, f"{network}.gradient": images.grad}
    save("perceptual", tensors, "lpips 0.1.4, float64", weights="lpips-vgg, lpips-alex (v0.1)")
