"""From nothing to a finished training step of the tokenizer, eager: the process's start is counted by whoever starts it."""

import torch
from safetensors.torch import load_file

from harness import answer, read_spec
from tokenizer import Trainer

spec = read_spec()
trainer = Trainer(spec)
known = load_file(spec['known'])
terms = trainer.step(*(known[name][0] for name in ('images', 'ratio', 'coin', 'random', 'noise')))
assert torch.isfinite(terms).all()
answer()
