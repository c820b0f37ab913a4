"""Files of torch.save in both formats and several pickle protocols, and what they hold as safetensors; checkpoints of random
weights in the layouts of SiT, REPA and LightningDiT (their names and shapes, and what else those projects' train.py saves)."""

import argparse
import io
import zipfile
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


def transformer(seed: int, lightning: bool, outputs: int) -> OrderedDict[str, torch.Tensor]:
    """A transformer of width 8 and depth 3 on 4x4 latents of 4 channels in patches of 2 (LightningDiT: 1), for 3 classes."""
    width, patch = 8, 1 if lightning else 2
    shapes = {"x_embedder.proj.weight": (width, 4, patch, patch), "pos_embed": (1, (4 // patch) ** 2, width)}
    shapes |= {"t_embedder.mlp.0.weight": (width, 256), "t_embedder.mlp.2.weight": (width, width)}
    shapes |= {"y_embedder.embedding_table.weight": (4, width)}
    mlp = {"w12": (42, width), "w3": (width, 21)} if lightning else {"fc1": (4 * width, width), "fc2": (width, 4 * width)}
    for i in range(3):
        layers = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "adaLN_modulation.1": (6 * width, width)}
        layers |= {f"mlp.{name}": shape for name, shape in mlp.items()}
        shapes |= {f"blocks.{i}.{name}.weight": shape for name, shape in layers.items()}
        if lightning:
            shapes |= {f"blocks.{i}.norm{k}.weight": (width,) for k in (1, 2)}
    shapes |= {"final_layer.linear.weight": (outputs, width), "final_layer.adaLN_modulation.1.weight": (2 * width, width)}
    if lightning:
        shapes |= {"final_layer.norm_final.weight": (width,)}
        shapes |= {f"feat_rope.freqs_{kind}": (16, 4) for kind in ("cos", "sin")}
    for name, shape in list(shapes.items()):
        if name.endswith(".weight") and "norm" not in name and "embedding_table" not in name:
            shapes[name.removesuffix("weight") + "bias"] = shape[:1]
    return OrderedDict((name, normal(seed + k, *shape).float()) for k, (name, shape) in enumerate(sorted(shapes.items())))


def projects() -> dict[str, dict[str, object]]:
    sit = transformer(100, lightning=False, outputs=32)
    repa = OrderedDict(
        # Its first version: the blocks after the aligned one counted anew.
        (name.replace("blocks.2.", "decoder_blocks.0."), value)
        for name, value in transformer(200, lightning=False, outputs=16).items()
    )
    repa["projectors.0.0.weight"] = normal(300, 3, 8).float()
    lightning = transformer(400, lightning=True, outputs=4)
    config = {
        "data": {"image_size": 256, "num_classes": 3, "latent_norm": True, "latent_multiplier": 0.5},
        "transport": {"path_type": "Linear", "prediction": "velocity", "loss_weight": None, "use_cosine_loss": True},
        "sample": {"num_sampling_steps": 250, "cfg_scale": 6.7, "cfg_interval_start": 0.11, "timestep_shift": 0.3},
    }
    train = argparse.Namespace(model="SiT-XL/2", num_classes=3, path_type="GVP", prediction="velocity", vae="ema")
    align = argparse.Namespace(model="SiT-XL/2", path_type="cosine", prediction="v", enc_type="dinov2-vit-b")
    zeros = {f"module.{name}": torch.zeros_like(value) for name, value in sit.items()}
    return {
        "sit": {"model": zeros, "ema": sit, "opt": {"state": {}}, "args": train},
        "repa": {"ema": repa, "args": align, "steps": 400000},
        "lightningdit": {"ema": {f"module.{name}": value for name, value in lightning.items()}, "config": config},
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
    with zipfile.ZipFile(PLACE / "zip2.pt") as source, zipfile.ZipFile(PLACE / "compressed.pt", "w") as target:
        for record in source.infolist():
            target.writestr(zipfile.ZipInfo(record.filename), source.read(record), zipfile.ZIP_DEFLATED)
    (PLACE / "compressed.pt").chmod(0o644)
    for name, saved in projects().items():
        buffer = io.BytesIO()
        torch.save(saved, buffer, _use_new_zipfile_serialization=name != "repa")
        (PLACE / f"{name}.pt").write_bytes(buffer.getvalue())
        (PLACE / f"{name}.pt").chmod(0o644)
