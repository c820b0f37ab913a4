"""What every golden module shares: seeded random weights and the writer.

References are computed in float64 and rounded to float32 once, at the end: the difference that a test sees is
then ours alone, and the bytes do not depend on the CPU that ran the script.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).parent


def save(name: str, tensors: dict[str, torch.Tensor], origin: str, **config: object) -> None:
    """Write `name`.safetensors; the metadata tells configuration, versions and origin."""
    stored = {}
    for key, value in tensors.items():
        value = value.detach()
        stored[key] = (value.float() if value.is_floating_point() else value).contiguous().clone()
    metadata = {key: str(value) for key, value in config.items()}
    metadata |= {"origin": origin, "torch": version("torch"), "timm": version("timm"), "numpy": version("numpy")}
    # The library writes metadata from a hash map in no fixed order; one key keeps the bytes reproducible.
    path = FOLDER / f"{name}.safetensors"
    save_file(stored, path, {"golden": json.dumps(metadata, sort_keys=True)})
    path.chmod(0o644)


def randomise(module: torch.nn.Module, seed: int, scale: float = 0.2) -> None:
    """Replace every parameter by float32-representable normals, so that nothing is at a trivial value (0 or 1).

    One-dimensional `weight`s and LayerScale stay near 1, as in a trained network.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    for name, parameter in module.named_parameters():
        values = torch.from_numpy(generator.standard_normal(parameter.shape, dtype=np.float32))
        around_one = name.endswith("gamma") or (parameter.dim() == 1 and name.endswith("weight"))
        parameter.data = (scale * values + (1.0 if around_one else 0.0)).to(parameter.dtype)


def normal(seed: int, *shape: int) -> torch.Tensor:
    """float64 tensor of float32-representable standard normals."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)).double()


def pixels(seed: int, batch: int, height: int, width: int) -> torch.Tensor:
    """uint8 [B, H, W, 3] images with large shapes and some noise."""
    generator = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    images = np.empty((batch, height, width, 3), np.uint8)
    for i in range(batch):
        for c in range(3):
            fx, fy, phase = generator.uniform(0.05, 0.5, 3) * (1, 1, 12)
            wave = 127.5 + 90 * np.sin(fx * x + fy * y + phase) + generator.normal(0, 15, (height, width))
            images[i, :, :, c] = np.clip(np.round(wave), 0, 255)
    return torch.from_numpy(images)


def signed(images: torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, 3] -> float64 [B, 3, H, W] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).double() / 127.5 - 1


def prefixed(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in tensors.items()}
