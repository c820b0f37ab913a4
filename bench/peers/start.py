"""From nothing to a finished training step of the tokenizer, eager: the process's start is counted by whoever starts it."""

import torch

from harness import answer, load, read_spec
from tokenizer import Trainer

spec = read_spec()
trainer = Trainer(spec)
known = load(spec['known'], spec)
terms = trainer.step(*(known[name][0] for name in ('images', 'ratio', 'coin', 'random', 'noise')))
assert torch.isfinite(terms).all()
answer(spec)
