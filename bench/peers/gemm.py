"""The best rate at which LibTorch multiplies matrices here: the limit that a step is held against."""

import time

import torch
import torch.nn.functional as F

from harness import answer, device_of, finish, read_spec


def rate(product, side, spec, seconds=1.0):
    """The best of a second's products, in FLOP/s; on a CUDA device of ten in a row, so that launching one costs nothing."""
    dtype = torch.bfloat16 if spec['precision'] == 'bf16' else torch.float32
    count = 10 if on_cuda else 1
    a, b = (torch.randn(side, side, device=device_of(spec)).to(dtype) for _ in range(2))
    best, end = float('inf'), time.perf_counter() + seconds
    product(a, b)
    finish(spec)
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(count):
            product(a, b)
        finish(spec)
        best = min(best, (time.perf_counter() - start) / count)
    return 2 * side**3 / best


def pixels(a, b):
    """The same by oneDNN, as a convolution of one pixel: float32 goes to MKL otherwise, which is slow on AMD's CPUs."""
    return F.conv2d(a.view(1, 1, *a.shape).permute(0, 3, 1, 2), b.view(*b.shape, 1, 1))


spec = read_spec()
on_cuda = device_of(spec).type == 'cuda'
products, sides = ([torch.mm], (4096, 8192)) if on_cuda else ([torch.mm, pixels], (1024, 2048, 3072))
name = torch.cuda.get_device_name() if on_cuda else None
answer(
    spec,
    torch=torch.__version__,
    name=name,
    rate=max(rate(product, side, spec) for product in products for side in sides),
)
