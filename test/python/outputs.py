"""Runs python/mactok.py on the models and inputs of reader.test.ts: outputs.py <folder> <names...>

<folder>/<name> is a model, <folder>/<name>.inputs.safetensors its inputs. Writes <folder>/<name>.outputs.safetensors.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).parents[2] / "python"))
from mactok import Generator, Tokenizer  # noqa: E402


def tokenizer_outputs(folder, given):
    tokenizer = Tokenizer.load(folder)
    mean, logvar = tokenizer.posterior(given["images"])
    outputs = {"mean": mean, "pixels": tokenizer.decode(given["latents"])}
    outputs["sampled"] = tokenizer.encode(given["images"], sample=True, seed=2**33 + 5, first_index=40)
    outputs["masked"] = tokenizer.posterior(given["images"], given["mask"])[0]
    return outputs if logvar is None else {**outputs, "logvar": logvar}


def generator_outputs(folder, given):
    generator = Generator.load(folder)
    output = generator(given["x"], given["times"], given["labels"])
    plain = generator.sample([2, 0], count=3, steps=4, sampler="euler", seed=7, first_index=1)
    options = dict(steps=3, guidance=2.5, low=0.2, high=0.9, channels=3, shift=0.3)
    guided = generator.sample(count=2, seed=11, first_index=2**32, **options)
    return {"output": output, "plain": plain, "guided": guided}


def main(folder, names):
    for name in names:
        path = Path(folder) / name
        given = load_file(f"{path}.inputs.safetensors")
        outputs_of = tokenizer_outputs if "images" in given else generator_outputs
        outputs = {}
        with torch.no_grad():
            for precision in ("fp32", "bf16"):
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    found = outputs_of(path, given)
                outputs |= {f"{precision}.{key}": value.float().contiguous() for key, value in found.items()}
        save_file(outputs, f"{path}.outputs.safetensors")


main(sys.argv[1], sys.argv[2:])
