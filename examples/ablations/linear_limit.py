"""What the best linear code of images is worth at each KL weight, for the map of collapse (docs/results.md).

    python3 linear_limit.py --train cifar10/train-00000.tar cifar10/train-00001.tar --test cifar10/test-00000.tar --units 64

Minimising mean squared error + weight * KL over linear encoders and decoders has a closed form (probabilistic PCA, Lucas et al.,
"Don't Blame the ELBO!", 2019): with D numbers per image in [-1, 1], a principal component of variance l is coded while l > s = weight * D / 2,
at a cost of log(l / s) / 2 nats, and comes back as (1 - s / l) of itself. Needs numpy and Pillow.
"""

import argparse
import io
import tarfile

import numpy as np
from PIL import Image


def load(paths):
    images = []
    for path in paths:
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith('.png'):
                    image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert('RGB')
                    images.append(np.asarray(image).reshape(-1))
    return np.stack(images).astype(np.float64) / 127.5 - 1


parser = argparse.ArgumentParser()
parser.add_argument('--train', nargs='+', required=True)
parser.add_argument('--test', nargs='+', required=True)
parser.add_argument('--units', type=int, required=True, help='size of the latent space')
parser.add_argument('--base', type=float, default=6.4e-5, help="the paper's weight at this image size")
options = parser.parse_args()

train, test = load(options.train), load(options.test)
mean = train.mean(0)
variances, components = np.linalg.eigh(np.cov((train - mean).T))
variances, components = variances[::-1], components[:, ::-1]
centred = test - mean
projected = centred @ components
size = train.shape[1]

print('times  weight    units  nats   PSNR')
for times in (1, 10, 50, 200, 500, 1000, 2000):
    weight = options.base * times
    noise = weight * size / 2
    units = min(options.units, int((variances > noise).sum()))
    nats = 0.5 * np.log(variances[:units] / noise).sum()
    lost = noise / variances[:units]
    error = (centred**2).sum(1) - (projected[:, :units] ** 2).sum(1) + (lost**2 * projected[:, :units] ** 2).sum(1)
    psnr = -10 * np.log10(error / size / 4).mean()
    print(f'{times:5d}  {weight:.2e}  {units:5d}  {nats:5.2f}  {psnr:.2f}')
