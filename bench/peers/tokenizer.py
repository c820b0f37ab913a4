"""A training step of the tokenizer by timm's blocks, autocast, fused AdamW; with the teacher, LPIPS and the discriminator where asked."""

import math
import sys
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.layers import set_fused_attn

from harness import answer, autocast, device_of, load, read_spec, rounds

sys.path.append(str(Path(__file__).parents[2] / 'test' / 'golden'))
from tokenizer_model import Tokenizer  # noqa: E402 - the model that the tests' reference numbers come from


def build(spec, weights):
    config = spec['tokenizer']
    vit = lambda name, cls: {key: config[name][key] for key in ('width', 'depth', 'heads')} | {'cls': cls}  # noqa: E731
    model = Tokenizer(
        config['imageSize'], config['patchSize'], config['latentTokens'], config['latentChannels'], vit('encoder', True), vit('decoder', False)
    )
    model.load_state_dict(part(weights, 'model.'))
    return model.to(device_of(spec))


def part(weights, prefix):
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def image_mask(ratio, scores):
    """[B, N]: the ceil(ratio·N) highest scores of each row."""
    counts = (ratio.clamp(0, 0.7).double() * scores.shape[1]).ceil()
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(1)
    return ranks < counts[:, None]


class Trainer:
    """`recipe`: `plain` is MSE and KL; `early` and `full` have every term. The discriminator's is 0 in `early`, yet computed, as the
    method's ancestors do before its start."""

    def __init__(self, spec):
        self.spec = spec
        weights = load(spec['weights'], spec)
        self.model = build(spec, weights)
        self.ema = deepcopy(self.model).requires_grad_(False)
        trained = dict(self.model.named_parameters())
        self.plain = spec['recipe'] == 'plain'
        compiled = torch.compile if spec.get('compiled') else lambda function: function
        if not self.plain:
            import full

            self.teacher = full.Teacher(spec, part(weights, 'teacher.'))
            self.heads = full.AlignmentHeads(part(weights, 'alignment.')).to(device_of(spec))
            self.perceptual = full.load_lpips(spec)
            self.discriminator = full.DiscriminatorTrainer(spec, weights, compiled)
            self.features = compiled(self.teacher)
            trained |= dict(self.heads.named_parameters(prefix='alignment'))
        self.loss = compiled(self.losses)
        decay = [value for name, value in trained.items() if name.endswith('weight') and value.dim() > 1]
        others = [value for name, value in trained.items() if not (name.endswith('weight') and value.dim() > 1)]
        groups = [{'params': decay, 'weight_decay': 1e-4}, {'params': others, 'weight_decay': 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=True)
        self.trained = list(trained.values())
        self.averaged = list(self.ema.parameters()), list(self.model.parameters())

    def losses(self, images, mask, noise, cls=None, patches=None):
        mean, logvar = self.model.encode(images, mask)
        mean, logvar = mean.float(), logvar.float()
        latents = mean + (0.5 * logvar).exp() * noise
        prediction = self.model.decode(latents).float()
        terms = [F.mse_loss(prediction, images), 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum((1, 2)).mean()]
        if not self.plain:
            terms += [*self.heads(latents, cls, patches), self.perceptual(prediction, images).mean()]
        return torch.stack(terms), prediction

    def step(self, images, ratio, coin, random, noise):
        images = images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1).contiguous()
        with autocast(self.spec):
            scores, known = random, ()
            if not self.plain:
                with torch.no_grad():
                    known = self.features(images)
                    scores = torch.where((coin < 0.5)[:, None], self.teacher.scores(*known), random)
            terms, prediction = self.loss(images, image_mask(ratio * 0.8 - 0.1, scores), noise, *known)
            total = terms[0] + 1e-6 * terms[1]
            if not self.plain:
                total = total - 0.1 * (terms[2] + terms[3]) + terms[4]
                weight = 0.2 if self.spec['recipe'] == 'full' else 0.0
                total = total + weight * self.discriminator.judge(prediction)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(*self.averaged, 1e-4)
        if not self.plain:
            with autocast(self.spec):
                self.discriminator.step(images, prediction.detach(), weight)
        return terms.detach()


def main():
    spec = read_spec()
    torch.manual_seed(0)
    set_fused_attn(spec.get('attention', 'sdpa') == 'sdpa')
    trainer = Trainer(spec)
    known = load(spec['known'], spec)
    losses = []
    for i in range(1 if spec['recipe'] == 'full' else 3):
        losses += trainer.step(*(known[name][i] for name in ('images', 'ratio', 'coin', 'random', 'noise'))).tolist()

    images = known['images'][0]

    def step():
        drawn = [torch.rand_like(known[name][0]) for name in ('ratio', 'coin', 'random')]
        trainer.step(images, *drawn, torch.randn_like(known['noise'][0]))

    answer(spec, **rounds(spec, step), losses=losses)


if __name__ == '__main__':
    main()
