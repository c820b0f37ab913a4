"""The rate at which LibTorch multiplies matrices here: the limit that a step is held against."""

import time

import torch

from harness import answer, read_spec

SIDES = (1024, 2048, 3072)


def rate(side, dtype, seconds=1.0):
    """The best of a second's products, in FLOP/s."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    out = torch.empty(side, side, dtype=dtype)
    best, end = float('inf'), time.perf_counter() + seconds
    torch.mm(a, b, out=out)
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


spec = read_spec()
dtype = torch.bfloat16 if spec['precision'] == 'bf16' else torch.float32
answer(torch=torch.__version__, rate=max(rate(side, dtype) for side in SIDES))
