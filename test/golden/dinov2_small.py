"""The real DINOv2-small in timm on two photographs, at 224, at a resampled size and with a resampled patch.

Needs the weights of the Hugging Face repository facebook/dinov2-small in $MACTOK_WEIGHTS/dinov2-small.
"""

import os
from pathlib import Path

import numpy as np
import skimage
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torchvision.transforms import InterpolationMode, Resize

from golden import FOLDER, save, signed
from teacher import resize
from vits import imagenet, split

WEIGHTS = Path(os.environ.get("MACTOK_WEIGHTS", FOLDER / "../../../shared/weights")) / "dinov2-small"
# Crops (left, top, side) of photographs that ship in scikit-image: NASA (public domain) and Stéfan van der Walt (CC0).
PHOTOGRAPHS = {"astronaut": (60, 0, 300), "chelsea": (60, 0, 300)}
SIDE = 112
# What dgm-eval (Stein et al. 2023) shows to a DINOv2: torchvision's Resize, which is Pillow's bicubic.
EVALUATION = Resize((224, 224), InterpolationMode.BICUBIC)
CROP = (10, 0, 106, 80)
VARIANTS = {"224": (224, 14), "resampled_size": (140, 14), "resampled_patch": (112, 16)}


def timm_name(name: str) -> str:
    name = name.replace("embeddings.patch_embeddings.projection", "patch_embed.proj")
    name = name.replace("embeddings.position_embeddings", "pos_embed").replace("embeddings.cls_token", "cls_token")
    name = name.replace("encoder.layer.", "blocks.").replace("attention.output.dense", "attn.proj")
    name = name.replace("layer_scale1.lambda1", "ls1.gamma").replace("layer_scale2.lambda1", "ls2.gamma")
    return name.replace("layernorm.", "norm.")


def timm_state() -> dict[str, torch.Tensor]:
    """The checkpoint under timm's names, query, key and value joined."""
    state = {key: value.double() for key, value in load_file(WEIGHTS / "model.safetensors").items() if "mask_token" not in key}
    for key in [key for key in state if "attention.attention.query" in key]:
        layer, kind = key.split(".attention.attention.query.")
        parts = [state.pop(f"{layer}.attention.attention.{part}.{kind}") for part in ("query", "key", "value")]
        state[f"{layer}.attn.qkv.{kind}"] = torch.cat(parts)
    return {timm_name(key): value for key, value in state.items()}


def dinov2_small(size: int, patch: int) -> VisionTransformer:
    options = dict(pretrained=False, img_size=size, patch_size=patch)
    model = timm.create_model("vit_small_patch14_dinov2", **options).double().eval()
    model.load_state_dict(checkpoint_filter_fn(timm_state(), model))
    return model


def photograph(name: str) -> torch.Tensor:
    """uint8 [H, W, 3], written as PNG on the way."""
    left, top, side = PHOTOGRAPHS[name]
    crop = Image.fromarray(getattr(skimage.data, name)()).crop((left, top, left + side, top + side))
    crop.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(FOLDER / f"{name}.png", optimize=True)
    return torch.from_numpy(np.array(Image.open(FOLDER / f"{name}.png")))


@torch.no_grad()
def make() -> None:
    images = signed(torch.stack([photograph(name) for name in PHOTOGRAPHS]))
    if not WEIGHTS.exists():
        print(f"no weights in {WEIGHTS}: dinov2_small.safetensors stays as it is")
        return
    tensors = {}
    for name, (size, patch) in VARIANTS.items():
        model = dinov2_small(size, patch)
        cls, patches = split(model, model.forward_features(imagenet(resize(images, size))))
        rows = torch.linspace(0, patches.shape[1] - 1, 4).long()
        tensors |= {
            f"{name}.cls": cls,
            f"{name}.rows": rows,
            f"{name}.patches": patches[:, rows],
            f"{name}.norms": patches.norm(dim=-1),
            f"{name}.mean": patches.mean(dim=1),
        }
    crops = [Image.open(FOLDER / f"{name}.png").convert("RGB").crop(CROP) for name in PHOTOGRAPHS]
    shown = torch.stack([torch.from_numpy(np.array(EVALUATION(crop))) for crop in crops])
    model = dinov2_small(*VARIANTS["224"])
    tensors["evaluation.images"] = torch.stack([torch.from_numpy(np.array(crop)) for crop in crops])
    tensors["evaluation.cls"] = split(model, model.forward_features(imagenet(signed(shown))))[0]
    save("dinov2_small", tensors, "timm vit_small_patch14_dinov2 with checkpoint_filter_fn, float64", photographs=list(PHOTOGRAPHS), variants=VARIANTS)
