"""An independent implementation of the library's random streams (native/runtime/random.h) in plain Python.

Philox4x32-10 is Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011); `make` first checks it
against the test vectors of Random123 1.14 (`kat_vectors`).
"""

import math

import numpy as np
import torch

from golden import save

MASK = 0xFFFFFFFF
KNOWN = [  # counter, key, output
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((MASK,) * 4, (MASK, MASK), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def block(counter: tuple[int, ...], key: tuple[int, int]) -> tuple[int, ...]:
    """Four 32-bit words of Philox4x32-10."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def words(seed: int, stream: str, step: int, sample: int, count: int) -> list[int]:
    key = 0xCBF29CE484222325  # FNV-1a over the name, then the seed's bytes
    for byte in stream.encode() + seed.to_bytes(8, "little"):
        key = ((key ^ byte) * 0x100000001B3) & (2**64 - 1)
    sample %= 2**64
    out: list[int] = []
    for index in range((count + 3) // 4):
        out += block((index, step, sample & MASK, sample >> 32), (key & MASK, key >> 32))
    return out[:count]


def uniform(seed: int, stream: str, step: int, first: int, rows: int, columns: int) -> np.ndarray:
    """float32 [rows, columns] in [0, 1)."""
    return np.array(
        [[(word >> 8) * 2.0**-24 for word in words(seed, stream, step, first + i, columns)] for i in range(rows)],
        np.float32,
    ).reshape(rows, columns)


def normal(seed: int, stream: str, step: int, first: int, rows: int, columns: int) -> np.ndarray:
    """float32 [rows, columns], Box–Muller on consecutive pairs."""
    out = np.empty((rows, columns), np.float32)
    for i in range(rows):
        drawn = words(seed, stream, step, first + i, columns + columns % 2)
        for j in range(columns):
            first_word, second_word = drawn[j - j % 2], drawn[j - j % 2 + 1]
            radius = math.sqrt(-2 * math.log((first_word + 0.5) * 2.0**-32))
            angle = 2 * math.pi * (second_word * 2.0**-32)
            out[i, j] = radius * (math.sin(angle) if j % 2 else math.cos(angle))
    return out


def make() -> None:
    for counter, key, output in KNOWN:
        assert block(counter, key) == output
    tensors = {}
    for name, draw in (("uniform", uniform), ("normal", normal)):
        # seed, stream, step, first sample, rows, columns: as in the test
        tensors[f"{name}.0"] = torch.from_numpy(draw(0, "golden", 0, 0, 3, 9))
        tensors[f"{name}.1"] = torch.from_numpy(draw(2**32 + 5, "mask/ratio", 1_000_000, 12_345, 2, 16))
        tensors[f"{name}.2"] = torch.from_numpy(draw(42, "", 7, -1, 1, 5))
    save("philox", tensors, "test/golden/philox.py, checked against Random123 kat_vectors")
