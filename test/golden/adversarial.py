"""What trains a discriminator besides the network: DiffAugment from given draws, adversarial losses, LeCAM.

DiffAugment is written out here image by image, from the definitions of Zhao et al. 2020 and their code
(mit-han-lab/data-efficient-gans, DiffAugment_pytorch.py), with the draws as arguments.
"""

import torch
import torch.nn.functional as F

from golden import normal, save

RATIOS = {"translation": 0.125, "cutout": 0.2, "strong": 0.5}


def color(image: torch.Tensor, draws: list[float]) -> torch.Tensor:
    image = image + (draws[0] - 0.5)
    grey = image.mean(dim=0, keepdim=True)
    image = grey + (image - grey) * 2 * draws[1]
    return image.mean() + (image - image.mean()) * (draws[2] + 0.5)


def translation(image: torch.Tensor, draws: list[float], ratio: float) -> torch.Tensor:
    """Pixel (y, x) of the result is (y + down, x + right) of the image, black outside."""
    _, height, width = image.shape
    largest = [int(size * ratio + 0.5) for size in (height, width)]
    down, right = (int(draw * (2 * most + 1)) - most for draw, most in zip(draws, largest))
    padded = F.pad(image, [largest[1]] * 2 + [largest[0]] * 2)
    top, left = largest[0] + down, largest[1] + right
    return padded[:, top : top + height, left : left + width]


def cutout(image: torch.Tensor, draws: list[float], ratio: float) -> torch.Tensor:
    mask = torch.ones_like(image)
    spans = []
    for draw, size in zip(draws, image.shape[1:]):
        side = int(size * ratio + 0.5)
        centre = int(draw * (size + 1 - side % 2))
        spans.append(slice(max(centre - side // 2, 0), max(centre - side // 2 + side, 0)))
    mask[:, spans[0], spans[1]] = 0
    return image * mask


def augment(images: torch.Tensor, strengths: torch.Tensor, policies: list[str], cut: float) -> torch.Tensor:
    result = []
    for image, draws in zip(images, strengths.tolist()):
        if "color" in policies:
            image = color(image, draws[0:3])
        if "translation" in policies:
            image = translation(image, draws[3:5], RATIOS["translation"])
        if "cutout" in policies:
            image = cutout(image, draws[5:7], cut)
        result.append(image)
    return torch.stack(result)


CASES = {
    "color": (["color"], 0.2),
    "translation": (["translation"], 0.2),
    "cutout": (["cutout"], 0.2),
    "all": (["color", "translation", "cutout"], 0.2),
    "strong": (["color", "translation", "cutout"], 0.5),
}


def make_augmentation(tensors: dict[str, torch.Tensor]) -> None:
    images, upstream = normal(710, 4, 3, 12, 17) * 0.5, normal(711, 4, 3, 12, 17)
    strengths = torch.rand(4, 7, generator=torch.Generator().manual_seed(712))
    # The ends of the range: nothing, and the last float below 1.
    strengths[2], strengths[3] = 0.0, 1 - 2**-24
    tensors |= {"images": images, "upstream": upstream, "strengths": strengths}
    for name, (policies, cut) in CASES.items():
        leaf = images.clone().requires_grad_(True)
        result = augment(leaf, strengths.double(), policies, cut)
        result.backward(upstream)
        tensors |= {f"{name}.images": result, f"{name}.gradient": leaf.grad}


def make_losses(tensors: dict[str, torch.Tensor]) -> None:
    real, fake = normal(720, 3, 4, 10) + 0.5, normal(721, 3, 4, 10) * 2 - 0.3  # [steps, B, logits]
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    binary = F.binary_cross_entropy_with_logits
    tensors |= {
        "logits.real": real,
        "logits.fake": fake,
        "hinge.discriminator": (F.relu(1 - real).mean() + F.relu(1 + fake).mean()) / 2,
        "hinge.generator": -fake.mean(),
        "vanilla.discriminator": (binary(real, ones) + binary(fake, zeros)) / 2,
        "vanilla.generator": -fake.mean(),
        "non-saturating.discriminator": (binary(real, ones) + binary(fake, zeros)) / 2,
        "non-saturating.generator": binary(fake, ones),
    }
    averages, losses = {"real": 0.0, "fake": 0.0}, []
    for r, f in zip(real, fake):
        averages = {"real": 0.9 * averages["real"] + 0.1 * r.mean(), "fake": 0.9 * averages["fake"] + 0.1 * f.mean()}
        losses.append(F.relu(r - averages["fake"]).square().mean() + F.relu(averages["real"] - f).square().mean())
    tensors |= {f"lecam.{key}": value for key, value in averages.items()} | {"lecam.losses": torch.stack(losses)}


def make() -> None:
    tensors: dict[str, torch.Tensor] = {}
    make_augmentation(tensors)
    make_losses(tensors)
    save("adversarial", tensors, "test/golden/adversarial.py, float64", lecam_decay=0.9, **RATIOS)
