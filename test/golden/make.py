"""Regenerate every golden of this folder, or those named: python make.py [module …]"""

import sys
from importlib import import_module

sys.dont_write_bytecode = True
MODULES = ["philox", "vits", "resample", "teacher", "training", "metrics", "dinov2_small", "semantic_masks", "perceptual", "adversarial", "mixture", "inception", "torch_files", "operations"]

for name in sys.argv[1:] or MODULES:
    import_module(name).make()
    print(name)
