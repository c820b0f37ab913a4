"""The Inception of FID by pytorch-fid (0.3.0): features of photographs, and FIDs of CIFAR-10's test images.

Needs `inception-fid` in $MACTOK_WEIGHTS and `cifar10/` in $MACTOK_DATA (defaults: ../../../shared/weights and …/data).
"""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_fid import inception
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.torch import load_file

from golden import FOLDER, normal, save

WEIGHTS = Path(os.environ.get("MACTOK_WEIGHTS", FOLDER / "../../../shared/weights"))
DATA = Path(os.environ.get("MACTOK_DATA", FOLDER / "../../../shared/data"))
SIDE = 299


def network() -> torch.nn.Module:
    """pytorch-fid's network in float64; the classifier that these weights lack is not part of it."""
    state = load_file(WEIGHTS / "inception-fid" / "model.safetensors")
    state |= {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    inception.load_state_dict_from_url = lambda *_, **__: {key: value.float() for key, value in state.items()}
    return inception.InceptionV3().double().eval()


def tensorflow_input(images: torch.Tensor) -> torch.Tensor:
    """What TensorFlow 1 makes of levels [B, H, W, 3]: ResizeBilinear without aligned corners and half pixels, then (x − 128) / 128."""

    def along(x: np.ndarray, axis: int) -> np.ndarray:
        length = x.shape[axis]
        position = np.arange(SIDE, dtype=np.float32) * np.float32(length / SIDE)
        lower = np.floor(position).astype(int)
        upper = np.minimum(lower + 1, length - 1)
        weight = (position - lower).astype(np.float64).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        return x.take(lower, axis) * (1 - weight) + x.take(upper, axis) * weight

    resized = along(along(images.numpy().astype(np.float64), 1), 2)
    return torch.from_numpy((resized - 128) / 128).permute(0, 3, 1, 2)


def photographs() -> torch.Tensor:
    crops = [Image.open(FOLDER / f"{name}.png").convert("RGB").crop((10, 0, 106, 80)) for name in ("astronaut", "chelsea")]
    return torch.from_numpy(np.stack([np.array(crop) for crop in crops]))


def cifar(count: int) -> list[torch.Tensor]:
    tar = tarfile.open(next((DATA / "cifar10").glob("test-*.tar")))
    names = sorted(name for name in tar.getnames() if name.endswith(".png"))[:count]
    images = [np.array(Image.open(io.BytesIO(tar.extractfile(name).read())).convert("RGB")) for name in names]
    return list(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255).split(50))


def fid(a: np.ndarray, b: np.ndarray) -> torch.Tensor:
    means = [features.mean(0) for features in (a, b)]
    covariances = [np.cov(features, rowvar=False) for features in (a, b)]
    return torch.tensor(calculate_frechet_distance(means[0], covariances[0], means[1], covariances[1]))


@torch.no_grad()
def make() -> None:
    model = network()
    spatial = []
    model.blocks[2][6].branch1x1.register_forward_hook(lambda _, __, output: spatial.append(output[:, :7].permute(0, 2, 3, 1).flatten(1)))
    images = photographs()
    tensors = {"images": images, "pool": model(images.permute(0, 3, 1, 2).double() / 255)[0].flatten(1)}
    tensors["spatial"] = spatial[0]
    classifier = (0.1 * normal(710, 8, 2048)).float().double()
    tensors |= {"classifier": classifier, "probabilities": (tensors["pool"] @ classifier.T).softmax(1)}
    model.normalize_input = model.resize_input = False
    tensors["tensorflow.pool"] = model(tensorflow_input(images))[0].flatten(1)

    # As pytorch-fid computes them, in float32.
    model = model.float()
    model.normalize_input = model.resize_input = True
    features = torch.cat([model(batch)[0].flatten(1) for batch in cifar(1000)]).double().numpy()
    tensors |= {"fid.50": fid(features[:50], features[50:100]), "fid.500": fid(features[:500], features[500:])}
    save("inception", tensors, "pytorch-fid 0.3.0", weights="inception-fid (2015-12-05, convolutions as fp16)", images="cifar10/test")
