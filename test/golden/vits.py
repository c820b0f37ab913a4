"""DINOv2-like ViTs of timm at tiny size: outputs of `forward_features` (after the norm)."""

import timm
import torch
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer

from golden import pixels, prefixed, randomise, save, signed

SHARED = dict(patch_size=4, embed_dim=12, depth=2, num_heads=2, init_values=1.0, dynamic_img_size=True)
MODELS = {
    "gelu": dict(img_size=16),
    "registers": dict(img_size=16, reg_tokens=4, no_embed_class=True),
    "swiglu": dict(img_size=16, mlp_ratio=2.66667 * 2, mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU),
}
MEAN = torch.tensor(timm.data.IMAGENET_DEFAULT_MEAN, dtype=torch.float64).view(3, 1, 1)
STD = torch.tensor(timm.data.IMAGENET_DEFAULT_STD, dtype=torch.float64).view(3, 1, 1)


def vit(**options) -> VisionTransformer:
    return VisionTransformer(**(SHARED | options), num_classes=0).double().eval()


def imagenet(images: torch.Tensor) -> torch.Tensor:
    """[-1, 1] -> ImageNet mean and standard deviation."""
    return ((images + 1) / 2 - MEAN) / STD


def split(model: VisionTransformer, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return tokens[:, 0], tokens[:, model.num_prefix_tokens :]


@torch.no_grad()
def make() -> None:
    for seed, (name, options) in enumerate(MODELS.items()):
        model = vit(**options)
        randomise(model, seed)
        images = pixels(100 + seed, 2, 16, 16)
        tensors = prefixed(model.state_dict(), "w.") | {"images": images}
        tensors["cls"], tensors["patches"] = split(model, model.forward_features(imagenet(signed(images))))
        # A size that the positions were not made for: timm resamples them on the fly.
        larger = pixels(200 + seed, 1, 24, 24)
        tensors["larger.images"] = larger
        tensors["larger.cls"], tensors["larger.patches"] = split(model, model.forward_features(imagenet(signed(larger))))
        save(f"vit_{name}", tensors, "timm VisionTransformer.forward_features, float64", seed=seed, **{
            key: getattr(value, "__name__", value) for key, value in (SHARED | options).items()
        })
