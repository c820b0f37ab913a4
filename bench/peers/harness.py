"""What the peers share: reading a spec, timing rounds, and one line of JSON as the answer."""

import json
import sys
import time

import torch
from safetensors.torch import load_file

# The most that warming up may take: rounds, and seconds.
MOST_ROUNDS, MOST_SECONDS = 10, 30


def read_spec():
    spec = json.loads(sys.argv[1])
    torch.set_num_threads(spec.get('threads', 2))
    # As ours: products and convolutions in float32 are float32.
    torch.backends.cudnn.allow_tf32 = False
    return spec


def device_of(spec):
    return torch.device(spec.get('device', 'cpu'))


def load(path, spec):
    return load_file(path, device=str(device_of(spec)))


def autocast(spec):
    return torch.autocast(device_of(spec).type, dtype=torch.bfloat16, enabled=spec['precision'] == 'bf16', cache_enabled=True)


def finish(spec):
    """Waits for what the device still computes."""
    if device_of(spec).type == 'cuda':
        torch.cuda.synchronize()


def peak_memory(spec):
    """VmHWM in bytes, the most memory that the process has held; on a CUDA device what its tensors have held."""
    if device_of(spec).type == 'cuda':
        return torch.cuda.max_memory_allocated()
    for line in open('/proc/self/status'):
        if line.startswith('VmHWM'):
            return int(line.split()[1]) * 1024


def has_settled(seconds):
    """Whether the last two rounds agree within 5 %, as in verdict.mjs."""
    return len(seconds) > 1 and abs(seconds[-1] - seconds[-2]) <= 0.05 * min(seconds[-2:])


def rounds(spec, step):
    """Seconds per step of each round, measured after `warmup` steps and further rounds until two agree; whether they did."""

    def one_round():
        start = time.perf_counter()
        for _ in range(spec['steps']):
            step()
        finish(spec)
        return (time.perf_counter() - start) / spec['steps']

    warmup = spec.get('warmup', 3)
    for _ in range(warmup):
        step()
    finish(spec)
    before, start = [], time.perf_counter()
    while warmup > 0 and not has_settled(before) and len(before) < MOST_ROUNDS and time.perf_counter() - start < MOST_SECONDS:
        before.append(one_round())
    seconds = [one_round() for _ in range(spec['rounds'])]
    return {'seconds': seconds, 'settled': warmup == 0 or has_settled(before)}


def answer(spec, **fields):
    print(json.dumps({**fields, 'memory': peak_memory(spec)}), flush=True)
