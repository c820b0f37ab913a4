"""The teacher: preprocessing, features, semantic scores on another grid and the masks that follow from them."""

import torch
import torch.nn.functional as F

from golden import normal, pixels, prefixed, randomise, save, signed
from vits import imagenet, split, vit



def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """REPA's: bicubic without antialias."""
    return F.interpolate(images, size=(size, size), mode="bicubic", align_corners=False)


def similarity(cls: torch.Tensor, patches: torch.Tensor, grid: int) -> torch.Tensor:
    """[B, grid²] cosine of `cls` and each patch, resized bilinearly when the grids differ."""
    scores = F.cosine_similarity(cls[:, None], patches, dim=-1)
    side = round(scores.shape[1] ** 0.5)
    raster = scores.unflatten(1, (1, side, side))
    return F.interpolate(raster, size=(grid, grid), mode="bilinear", align_corners=False).flatten(1) if grid != side else scores


def highest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """bool: the `count` highest scores of each row, ties to the lower index."""
    order = scores.sort(dim=1, descending=True, stable=True).indices
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order[:, :count], True)


@torch.no_grad()
def make() -> None:
    model = vit(img_size=16)
    randomise(model, 400)
    images = pixels(401, 3, 32, 32)
    cls, patches = split(model, model.forward_features(imagenet(resize(signed(images), 16))))
    tensors = prefixed(model.state_dict(), "w.") | {"images": images, "cls": cls, "patches": patches}
    for grid in (4, 8, 3):
        tensors[f"similarity.{grid}"] = similarity(cls, patches, grid)
    ties = (normal(402, 3, 16) * 2).round() / 4
    tensors["ties"] = ties
    for count in (0, 1, 4, 7, 12, 16):
        tensors[f"mask.{count}"] = highest(ties.float(), count).byte()
    save("teacher", tensors, "timm VisionTransformer, F.interpolate, F.cosine_similarity, torch.sort(stable), float64", seed=400, input_size=16)
