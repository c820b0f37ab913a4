"""Guided samples of SiT by torchdiffeq, as SiT and LightningDiT draw them: both branches in one batch at every evaluation."""

import torch
from torchdiffeq import odeint

from harness import answer, autocast, device_of, load, read_spec, rounds
from sit_model import load_sit

# Ours by torchdiffeq's names; its `heun2` is Heun's method.
METHODS = {'euler': 'euler', 'midpoint': 'midpoint', 'heun': 'heun2'}


def main():
    spec = read_spec()
    model = load_sit(spec).eval()
    guidance = spec['guidance']
    known = load(spec['known'], spec)
    start, labels = known['noise'], known['labels']
    times = torch.linspace(0, 1, spec['sampling']['steps'] + 1, device=device_of(spec))
    both = torch.cat([labels, torch.full_like(labels, model.classes)])
    network = torch.compile(model) if spec.get('compiled') else model

    def velocity(t, x):
        output = network(torch.cat([x, x]), t.expand(2 * len(x)), both).float()
        given, none = output.chunk(2)
        if guidance['low'] <= t <= guidance['high']:
            return none + guidance['scale'] * (given - none)
        return given

    def draw():
        with torch.inference_mode(), autocast(spec):
            return odeint(velocity, start, times, method=METHODS[spec['sampling']['sampler']])[-1]

    samples = draw()
    every = max(1, samples.numel() // 64)
    answer(spec, **rounds({**spec, 'warmup': 1, 'steps': 1}, draw), samples=samples.flatten()[::every].tolist())


main()
