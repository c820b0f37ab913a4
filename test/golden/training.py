"""One training step and ten: masks, ε, every loss term, all gradients; AdamW, clipping, schedule and EMA by torch.

The random draws come from philox.py, so a test needs to give the library only the seed.
"""


import math

import torch
import torch.nn.functional as F
from torch import nn

import philox
import tokenizer_model
from golden import pixels, prefixed, randomise, save, signed
from teacher import highest, resize, similarity
from tokenizer_model import Tokenizer
from vits import imagenet, split, vit

SEED, BATCH, IMAGE, PATCH, WIDTH = 77, 3, 16, 4, 8
PATCHES = (IMAGE // PATCH) ** 2
ENCODER = dict(width=WIDTH, depth=2, heads=2, cls=True)
DECODER = dict(width=WIDTH, depth=2, heads=2, cls=False)
CASE = dict(
    tokens=4, channels=3, bottleneck="kl", encoder=ENCODER, decoder=DECODER,
    masking="image", max_ratio=0.7, semantic=0.5, per="image",
    local=True, global_=True, shared=False, hidden=6, on="sample",
    reconstruction="mse", weights=(1.0, 1e-6, 0.1), step=3,
)
CASES = {
    "base": {},
    "l1": dict(reconstruction="l1", weights=(1.0, 1e-2, 0.5), decoder=DECODER | dict(cls=True), semantic=1.0, step=0),
    "shared": dict(shared=True, tokens=5, on="mean", per="batch", step=8),
    "local": dict(global_=False, masking="latent", step=1),
    "rope": dict(local=False, encoder=ENCODER | dict(rope=True, layer_scale=False), decoder=DECODER | dict(rope=True, layer_scale=False), semantic=0.0),
    "ae": dict(bottleneck="ae", local=False, global_=False, masking="none"),
}


class Heads(nn.Module):
    """Separate or shared projections of latents to the teacher's width."""

    def __init__(self, channels, hidden, width, local, global_, shared):
        super().__init__()
        mlp = lambda: nn.Sequential(  # noqa: E731
            nn.Linear(channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, width)
        )
        if shared:
            self.shared = mlp()
        if local and not shared:
            self.local = mlp()
        if global_ and not shared:
            setattr(self, "global", mlp())

    def local_cosine(self, latents, patches):
        projected = getattr(self, "shared", None) or self.local
        x = projected(latents)  # [B, L, D]
        tokens, count = x.shape[1], patches.shape[1]
        if count % tokens == 0:
            x = x.repeat_interleave(count // tokens, dim=1)
        else:
            x = F.interpolate(x.transpose(1, 2), size=count, mode="linear", align_corners=False).transpose(1, 2)
        return F.cosine_similarity(x, patches, dim=-1).mean()

    def global_cosine(self, latents, cls):
        projected = getattr(self, "shared", None) or getattr(self, "global")
        return F.cosine_similarity(projected(latents.mean(dim=1)), cls, dim=-1).mean()


def masks(case: dict, scores: torch.Tensor, length: int, step: int) -> torch.Tensor:
    """bool [B, length] of method.md §2: rank(score) < ⌈mN⌉."""
    rows = 1 if case["per"] == "batch" else BATCH
    first = -1 if case["per"] == "batch" else 0
    ratios = philox.uniform(SEED, "mask/ratio", step, first, rows, 1).astype(float)[:, 0]
    coins = philox.uniform(SEED, "mask/semantic", step, first, rows, 1)[:, 0]
    random = torch.from_numpy(philox.uniform(SEED, "mask/random", step, 0, BATCH, length)).double()
    mask = torch.zeros(BATCH, length, dtype=torch.bool)
    for i in range(BATCH):
        low, high = -0.1, case["max_ratio"]
        ratio = min(max(low + (high - low) * ratios[i % rows], 0.0), high)
        semantic = case["masking"] == "image" and coins[i % rows] < case["semantic"]
        mask[i] = highest((scores if semantic else random)[i : i + 1], math.ceil(ratio * length))[0]
    return mask


class Setting:
    """A tokenizer, its heads and a teacher at tiny size; three images of one batch."""

    def __init__(self, case: dict, seed: int, teacher: nn.Module):
        self.case, self.teacher = case, teacher
        self.model = Tokenizer(IMAGE, PATCH, case["tokens"], case["channels"], case["encoder"], case["decoder"], case["bottleneck"]).double()
        self.heads = Heads(case["channels"], case["hidden"], teacher.embed_dim, case["local"], case["global_"], case["shared"]).double()
        randomise(self.model, seed)
        randomise(self.heads, seed + 1, 0.4)
        self.images = pixels(seed, BATCH, 24, 24)[:, :IMAGE, :IMAGE].contiguous()
        with torch.no_grad():
            features = teacher.forward_features(imagenet(resize(signed(self.images), 24)))
        self.cls, self.patches = split(teacher, features)
        # The teacher's grid is 6×6, the encoder's 4×4: masks need the bilinear resize, the alignment is against 36 tokens.
        self.scores = similarity(self.cls, self.patches, IMAGE // PATCH)

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters()) | {f"alignment.{k}": p for k, p in self.heads.named_parameters()}

    def loss(self, step: int) -> dict[str, torch.Tensor]:
        dtype = self.model.to_posterior.weight.dtype
        case, target = self.case, signed(self.images).to(dtype)
        mask = masks(case, self.scores, PATCHES, step) if case["masking"] == "image" else None
        mean, logvar = self.model.encode(target, mask)
        latents, terms = mean, {}
        if logvar is not None:
            noise = philox.normal(SEED, "posterior", step, 0, BATCH, mean[0].numel())
            latents = mean + (logvar / 2).exp() * torch.from_numpy(noise).to(dtype).view_as(mean)
            terms["kl"] = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=(1, 2)).mean()
        aligned = latents if case["on"] == "sample" else mean
        if case["local"]:
            terms["alignLocal"] = self.heads.local_cosine(aligned, self.patches)
        if case["global_"]:
            terms["alignGlobal"] = self.heads.global_cosine(aligned, self.cls)
        if case["masking"] == "latent":
            latents = latents.masked_fill(masks(case, self.scores, case["tokens"], step)[..., None], 0)
        difference = self.model.decode(latents) - target
        terms["reconstruction"] = difference.square().mean() if case["reconstruction"] == "mse" else difference.abs().mean()
        rec, kl, align = case["weights"]
        cosines = terms.get("alignLocal", 0) + terms.get("alignGlobal", 0)
        terms["total"] = rec * terms["reconstruction"] + kl * terms.get("kl", 0) - align * cosines
        if mask is not None:
            terms["mask"] = mask.byte()
        return terms


def make_gradients(teacher: nn.Module) -> None:
    for index, (name, changes) in enumerate(CASES.items()):
        setting = Setting(CASE | changes, 500 + 10 * index, teacher)
        terms = setting.loss(setting.case["step"])
        terms["total"].backward()
        tensors = {"images": setting.images} | prefixed(terms, "loss.")
        for key, parameter in setting.parameters().items():
            tensors[f"w.{key}"] = parameter
            if parameter.grad is not None:
                tensors[f"grad.{key}"] = parameter.grad
        save(f"gradients_{name}", tensors, "test/golden/training.py on timm's blocks, torch autograd, float64", seed=SEED, **setting.case)


def make_autocast() -> None:
    """The one reference that is not float64: autocast's roundings are what it is about, and they differ a little from CPU to CPU."""
    case = CASE | dict(local=False, global_=False, semantic=0.0, weights=(1.0, 1e-2, 0.0))
    setting = Setting(case, 700, vit(img_size=24, embed_dim=8))
    setting.model.float()
    projection = setting.model.to_posterior

    def in_float32(x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return F.linear(x, projection.weight, projection.bias)

    projection.forward = in_float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = setting.loss(case["step"])
    terms["total"].backward()
    tensors = {"images": setting.images, "loss.total": terms["total"]}
    for key, parameter in setting.model.named_parameters():
        tensors[f"w.{key}"] = parameter
        tensors[f"grad.{key}"] = parameter.grad
    save("gradients_autocast", tensors, "test/golden/training.py under torch.autocast in bfloat16, the posterior in float32", seed=SEED, **case)


def decayed(name: str) -> bool:
    """Matrices only: no biases, norms, tokens, positions, LayerScale, RoPE frequencies."""
    return name.endswith("weight") and "norm" not in name


STEPS, WARMUP, PEAK, FINAL, CLIP = 10, 3, 2e-3, 0.1, 1.0


def make_optimizer(teacher: nn.Module) -> None:
    setting = Setting(CASE | dict(weights=(1.0, 1e-2, 0.5)), 600, teacher)
    parameters = setting.parameters()
    tensors = {"images": setting.images} | prefixed({k: p.clone() for k, p in parameters.items()}, "w.")
    groups = [
        {"params": [p for k, p in parameters.items() if decayed(k)], "weight_decay": 0.1},
        {"params": [p for k, p in parameters.items() if not decayed(k)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95), eps=1e-8, fused=True)
    schedule = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / WARMUP, total_iters=WARMUP - 1),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS - WARMUP, eta_min=FINAL * PEAK),
        ],
        [WARMUP],
    )
    ema = {key: parameter.detach().clone() for key, parameter in parameters.items()}
    history = {"lr": [], "gradNorm": [], "total": []}
    for step in range(STEPS):
        optimizer.zero_grad()
        total = setting.loss(step)["total"]
        total.backward()
        norm = nn.utils.clip_grad_norm_(list(parameters.values()), CLIP)
        for key, value in zip(history, (schedule.get_last_lr()[0], norm.item(), total.item())):
            history[key].append(value)
        optimizer.step()
        schedule.step()
        decay = min(0.9999, (1 + step) / (10 + step))
        for key, parameter in parameters.items():
            ema[key].lerp_(parameter.detach(), 1 - decay)
    for key, parameter in parameters.items():
        tensors[f"after.{key}"] = parameter
        tensors[f"ema.{key}"] = ema[key]
        tensors[f"exp_avg.{key}"] = optimizer.state[parameter]["exp_avg"]
        tensors[f"exp_avg_sq.{key}"] = optimizer.state[parameter]["exp_avg_sq"]
    tensors |= {key: torch.tensor(values, dtype=torch.float64) for key, values in history.items()}
    save("optimizer", tensors, "torch.optim.AdamW, clip_grad_norm_, LinearLR + CosineAnnealingLR, float64", seed=SEED, steps=STEPS,
         warmup=WARMUP, peak=PEAK, final=FINAL, clip=CLIP, weight_decay=0.1, **setting.case)


def make() -> None:
    tokenizer_model.check()
    teacher = vit(img_size=24, embed_dim=8).requires_grad_(False)
    randomise(teacher, 499)
    save("training_teacher", prefixed(teacher.state_dict(), "w."), "timm VisionTransformer with random weights", seed=499)
    make_gradients(teacher)
    make_autocast()
    make_optimizer(teacher)
