"""Python runs this at its start: packages of the peer that the machine lacks come from this folder, after its own. What even that
lacks (torchvision, SciPy, …) and the peer only imports is replaced by empty modules; torchvision's VGG-16 is made here, for LPIPS."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types

sys.path.append(os.path.join(os.path.dirname(__file__), 'packages'))

MISSING = [
    name
    for name in ('torchvision', 'scipy', 'yaml', 'tqdm', 'skimage', 'matplotlib', 'PIL')
    if importlib.util.find_spec(name) is None
]


class Anything(type):
    """A class whose every attribute is such a class, and that does nothing."""

    def __getattr__(cls, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return anything(name)


def anything(name):
    members = {'__init__': lambda self, *values, **named: None, '__class_getitem__': classmethod(lambda cls, _: cls)}
    return Anything(name, (), members)


class Empty(types.ModuleType):
    __path__ = []
    __version__ = '0.0'

    def __call__(self, *values, **named):
        return self

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        if (self.__name__, name) == ('torchvision.models', 'vgg16'):
            return vgg16
        # Modules and functions have small letters; either is a module that can be called.
        return importlib.import_module(f'{self.__name__}.{name}') if name.islower() else anything(name)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in MISSING:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Empty(spec.name)

    def exec_module(self, module):
        pass


def vgg16(**_):
    from torch import nn

    layers, inputs = [], 3
    for outputs in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(inplace=True)] if outputs else [nn.MaxPool2d(2)]
        inputs = outputs or inputs
    model = nn.Module()
    model.features = nn.Sequential(*layers)
    return model


sys.meta_path.append(Finder())
