"""Files of torch.save in both formats and several pickle protocols, and what they hold as safetensors."""

import argparse
from collections import OrderedDict

import torch
from golden import FOLDER, normal
from safetensors.torch import save_file

PLACE = FOLDER / "torch"


def checkpoint() -> dict[str, object]:
    base = normal(11, 6, 8).float()
    shared = torch.arange(24, dtype=torch.int64)
    ema = OrderedDict(
        matrix=base,
        transposed=base.t(),
        columns=base[1:5, 2:7:2],
        permuted=normal(12, 2, 3, 4).float().permute(2, 0, 1),
        parameter=torch.nn.Parameter(base[2]),
        expanded=torch.tensor([1.5, -2.0]).unsqueeze(1).expand(2, 3),
        scalar=torch.tensor(0.25),
        empty=torch.empty(0, 3),
        half=normal(13, 5).half(),
        bfloat=normal(14, 3, 3).bfloat16().t(),
        double=normal(15, 2),
        head=shared[:6],
        tail=shared[6:].view(3, 6),
        int32=torch.tensor([-1, 2**31 - 1], dtype=torch.int32),
        int16=torch.tensor([-2], dtype=torch.int16),
        int8=torch.tensor([-128, 127], dtype=torch.int8),
        bytes=torch.tensor([0, 255], dtype=torch.uint8),
        flags=torch.tensor([True, False, True]),
    )
    ema._metadata = OrderedDict(version=1)
    return {
        "ema": ema,
        "model": {f"module.{name}": value for name, value in ema.items()},
        "opt": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]},
        "args": argparse.Namespace(model="SiT-XL/2", image_size=256, cfg=None, big=2**70, sizes=[1, 2]),
        "complex": {"freqs": torch.ones(2, dtype=torch.complex64)},
        "size": torch.Size([2, 3]),
        "kinds": {frozenset({1}), "a"},
        "device": torch.device("cpu"),
        "dtype": torch.bfloat16,
        "steps": 1234,
    }


def make() -> None:
    PLACE.mkdir(exist_ok=True)
    content = checkpoint()
    for zipped in (True, False):
        for protocol in (2, 3, 4, 5):
            name = f"{'zip' if zipped else 'old'}{protocol}.pt"
            # A name of its own would be the archive's, and the bytes would depend on the folder.
            with open(PLACE / name, "wb") as file:
                torch.save(content, file, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
            (PLACE / name).chmod(0o644)
    values = {name: value.detach().contiguous().clone() for name, value in content["ema"].items()}
    save_file(values, PLACE / "expected.safetensors")
    (PLACE / "expected.safetensors").chmod(0o644)
