"""The best rate at which LibTorch multiplies matrices here: the limit that a step is held against."""

import time

import torch
import torch.nn.functional as F

from harness import answer, read_spec

SIDES = (1024, 2048, 3072)


def rate(product, side, dtype, seconds=1.0):
    """The best of a second's products, in FLOP/s."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    best, end = float('inf'), time.perf_counter() + seconds
    product(a, b)
    while time.perf_counter() < end:
        start = time.perf_counter()
        product(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def pixels(a, b):
    """The same by oneDNN, as a convolution of one pixel: float32 goes to MKL otherwise, which is slow on AMD's CPUs."""
    return F.conv2d(a.view(1, 1, *a.shape).permute(0, 3, 1, 2), b.view(*b.shape, 1, 1))


spec = read_spec()
dtype = torch.bfloat16 if spec['precision'] == 'bf16' else torch.float32
answer(torch=torch.__version__, rate=max(rate(product, side, dtype) for product in (torch.mm, pixels) for side in SIDES))
