"""What the peers share: reading a spec, timing rounds, and one line of JSON as the answer."""

import json
import sys
import time

import torch


def read_spec():
    spec = json.loads(sys.argv[1])
    torch.set_num_threads(spec.get('threads', 2))
    return spec


def autocast(spec):
    return torch.autocast(spec.get('device', 'cpu'), dtype=torch.bfloat16, enabled=spec['precision'] == 'bf16', cache_enabled=True)


def peak_memory():
    """VmHWM in bytes: the most memory that the process has held."""
    for line in open('/proc/self/status'):
        if line.startswith('VmHWM'):
            return int(line.split()[1]) * 1024


def rounds(spec, step):
    """Seconds per step of each round, after `warmup` steps."""
    for _ in range(spec.get('warmup', 3)):
        step()
    seconds = []
    for _ in range(spec['rounds']):
        start = time.perf_counter()
        for _ in range(spec['steps']):
            step()
        seconds.append((time.perf_counter() - start) / spec['steps'])
    return seconds


def answer(**fields):
    print(json.dumps({**fields, 'memory': peak_memory()}), flush=True)
