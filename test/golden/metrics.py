"""Metrics by their references: PSNR and SSIM by scikit-image, Fréchet distances by pytorch-fid, precision and recall by brute force."""

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.distributions import Normal
from torch_fidelity.metric_kid import kernel_mmd

from golden import FOLDER, normal, pixels, save, signed


def quality() -> dict[str, torch.Tensor]:
    originals = pixels(700, 3, 8, 8)
    decoded = (signed(originals) + 0.2 * normal(701, 3, 3, 8, 8)).float()  # some values beyond [-1, 1]
    levels = ((decoded + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1)
    psnr = [peak_signal_noise_ratio(a.numpy(), b.numpy(), data_range=255) for a, b in zip(originals, levels)]
    return {"originals": originals, "decoded": decoded, "psnr": torch.tensor(psnr)}


def structure() -> dict[str, torch.Tensor]:
    """The convention of Wang et al. 2004, as scikit-image's documentation tells how to get it."""
    first = pixels(702, 3, 24, 19)
    noisy = first.double() + 25 * normal(703, 3, 24, 19, 3) * torch.tensor([0.2, 1, 3]).view(3, 1, 1, 1)
    second = noisy.round().clamp(0, 255).byte()
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255, "channel_axis": -1}
    ssim = [structural_similarity(a.numpy(), b.numpy(), **wang) for a, b in zip(first, second)]
    return {"ssim.a": first, "ssim.b": second, "ssim": torch.tensor(ssim)}


def statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return features.mean(0), np.cov(features, rowvar=False)


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return ((a[:, None] - b[None]) ** 2).sum(-1)


def inside(queries: np.ndarray, points: np.ndarray, k: int = 3) -> float:
    """The part of the queries within the k-th neighbour's distance of one of the points."""
    radii = np.sort(squared_distances(points, points), axis=1)[:, k]
    return float((squared_distances(queries, points) <= radii).any(1).mean())


def distributions() -> dict[str, torch.Tensor]:
    mix = normal(704, 12, 12)
    real = (normal(705, 60, 12) @ mix).float().double()
    generated = (normal(706, 45, 12) @ mix * 1.1 + 0.4).float().double()
    tensors = {"real": real, "generated": generated}
    a, b = real.numpy(), generated.numpy()
    tensors["frechet"] = torch.tensor(calculate_frechet_distance(*statistics(a), *statistics(b)))
    # Fewer rows than dimensions.
    tensors["frechet.deficient"] = torch.tensor(calculate_frechet_distance(*statistics(a[:7]), *statistics(b[:9])))
    tensors["precision"] = torch.tensor(inside(b, a))
    tensors["recall"] = torch.tensor(inside(a, b))
    return tensors


def kernels() -> dict[str, torch.Tensor]:
    """The kernel of KID: all rows, and a subset of 30 of each."""
    mix = normal(709, 12, 12)
    real = (normal(710, 45, 12) @ mix / 3).float().double()
    generated = (normal(711, 45, 12) @ mix / 2 + 0.4).float().double()
    kernel = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
    rows = torch.from_numpy(np.random.RandomState(712).permutation(45)[:30].copy())
    whole = kernel_mmd(real.numpy(), generated.numpy(), **kernel)
    part = kernel_mmd(real[rows].numpy(), generated[rows].numpy(), **kernel)
    return {
        "kernel.real": real,
        "kernel.generated": generated,
        "kernel.rows": rows,
        "kernel": torch.tensor(whole),
        "kernel.subset": torch.tensor(part),
    }


def information() -> dict[str, torch.Tensor]:
    """Mutual information by definition: every sample's log density under its own posterior and under the mixture of all."""
    means = (0.5 * normal(713, 20, 3, 4)).float().double()
    logvars = (0.5 * normal(714, 20, 3, 4) - 1).float().double()
    samples = (means + (logvars / 2).exp() * normal(715, 20, 3, 4)).float().double()
    densities = Normal(means, (logvars / 2).exp()).log_prob(samples.unsqueeze(1)).sum(-1)  # [samples, posteriors, L]

    def between(log: torch.Tensor) -> torch.Tensor:
        return (log.diagonal() - (log.logsumexp(1) - np.log(20))).mean()

    tokens = torch.stack([between(densities[..., token]) for token in range(3)])
    return {
        "information.means": means,
        "information.logvars": logvars,
        "information.samples": samples,
        "information": between(densities.sum(-1)),
        "information.tokens": tokens,
    }


def score() -> dict[str, torch.Tensor]:
    """Inception score of 40 predictions in splits of 15: 15, 15 and 10, as ADM's evaluator does."""
    predictions = (3 * normal(707, 40, 6)).softmax(1).float().double()
    scores = []
    for part in predictions.split(15):
        kl = part * (part.log() - part.mean(0, keepdim=True).log())
        scores.append(kl.sum(1).mean().exp())
    return {"predictions": predictions, "score": torch.stack(scores).mean()}


def archive() -> None:
    """Statistics as pytorch-fid writes them, compressed, and images as ADM's reference batches have them."""
    generator = np.random.Generator(np.random.PCG64(708))
    arrays = {"mu": generator.standard_normal(3), "sigma": np.eye(3) / 3, "arr_0": np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)}
    np.savez_compressed(FOLDER / "statistics.npz", **arrays)


def make() -> None:
    archive()
    save(
        "metrics",
        quality() | structure() | distributions() | kernels() | information() | score(),
        "skimage.metrics (peak_signal_noise_ratio, structural_similarity); pytorch-fid 0.3.0 (calculate_frechet_distance); "
        "torch-fidelity 0.4.0 (kernel_mmd); definitions",
    )
