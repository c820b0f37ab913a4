"""torchdiffeq's dopri5 on the exact velocity of a mixture of Gaussians in the plane: end points and numbers of evaluations."""

import torch
from golden import normal, save
from torchdiffeq import odeint

MEANS = torch.tensor([[2.0, 0.5], [-1.5, 1.0], [0.0, -2.0]], dtype=torch.float64)
DEVIATIONS = torch.tensor([0.3, 0.5, 0.4], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def velocity(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Linear path: alpha = t, sigma = 1 - t. Computed in double precision, of x's dtype: [B, 2]."""
    t, x64 = t.double(), x.double()
    spread = t**2 * DEVIATIONS**2 + (1 - t) ** 2
    offsets = x64[:, None] - t * MEANS
    density = WEIGHTS.log() - offsets.square().sum(2) / (2 * spread) - spread.log()
    slope = (t * DEVIATIONS**2 - (1 - t)) / spread
    return (density.softmax(1)[..., None] * (MEANS + slope[:, None] * offsets)).sum(1).to(x.dtype)


def make() -> None:
    start = normal(11, 64, 2).float()
    tensors = {"means": MEANS, "deviations": DEVIATIONS, "weights": WEIGHTS, "start": start[:, None]}
    for name, rtol, atol in [("loose", 1e-3, 1e-4), ("middle", 1e-4, 1e-5), ("tight", 1e-5, 1e-6)]:
        count = 0

        def counted(t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            nonlocal count
            count += 1
            return velocity(t, x)

        end = odeint(counted, start, torch.linspace(0, 1, 2), method="dopri5", rtol=[rtol], atol=[atol])[-1]
        tensors |= {f"end.{name}": end[:, None], f"evaluations.{name}": torch.tensor(count)}
        tensors[f"tolerances.{name}"] = torch.tensor([rtol, atol])
    ends = torch.linspace(0, 1, 2, dtype=torch.float64)
    exact = odeint(velocity, start.double(), ends, method="dopri5", rtol=1e-11, atol=1e-12)[-1]
    tensors["exact"] = exact[:, None]
    save("mixture", tensors, "torchdiffeq 0.2.5, odeint(method='dopri5')")


if __name__ == "__main__":
    make()
