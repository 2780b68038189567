"""A discriminator of patches, and the losses of the contest between it and a generator.

    real, fake   [B, 1, h, w]   logits of the discriminator for hr and for an estimate
    weight       [B, 1, h, w]   how far each of them counts; all alike if not given

Each loss gives one number. The generator's is for the generator's optimiser alone; for the
discriminator's, hand in logits of an estimate that was detached. Both images are set to 0 where hr
is not to be learnt from, or the discriminator would see which is which by its holes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, leaky_relu, relu, softplus
from torch.nn.utils.parametrizations import spectral_norm

from sitsr.series import InputError


class PatchDiscriminator(nn.Module):
    """Logits [B, 1, H / 2^layers, W / 2^layers] of patches of an image [B, C, H, W].

    After Isola et al. 2017 (PatchGAN, arXiv:1611.07004): convolutions of 4 × 4 with stride 2 and
    leaky ReLU, twice as wide after each up to 8 times width, then two of 3 × 3. Every layer has
    its spectral norm held at 1 (Miyato et al. 2018, arXiv:1802.05957) in place of batch statistics,
    so that what it says of an image does not depend on the batch.

    bands: C, or more where the image is shown beside what it is conditioned on. width: of the first
    layer. layers: how many times the side is halved.
    """

    def __init__(self, bands: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        if min(bands, width, layers) < 1:
            raise InputError(
                f"a discriminator needs bands, width and layers of 1 or more, "
                f"got {bands}, {width} and {layers}"
            )
        widths = [bands, *(width * min(2**k, 8) for k in range(layers))]
        self.halving = nn.ModuleList(
            spectral_norm(nn.Conv2d(widths[k], widths[k + 1], 4, stride=2, padding=1))
            for k in range(layers)
        )
        self.inner = spectral_norm(nn.Conv2d(widths[-1], widths[-1], 3, padding=1))
        self.head = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        least = 2 ** len(self.halving)
        if min(image.shape[-2:]) < least:
            raise InputError(
                f"an image of {image.shape[-2]} × {image.shape[-1]} pixels is too small for a "
                f"discriminator that halves it {len(self.halving)} times; give {least} or more"
            )
        for layer in self.halving:
            image = leaky_relu(layer(image), 0.2)
        logits: Tensor = self.head(leaky_relu(self.inner(image), 0.2))
        return logits


def relativistic_generator(real: Tensor, fake: Tensor, weight: Tensor | None = None) -> Tensor:
    """How far real patches look more real than the average fake one, and fake ones less.

    Relativistic average loss (Jolicoeur-Martineau 2018, arXiv:1807.00734; Wang et al. 2018, ESRGAN,
    eq. 2), with averages over the batch:  E softplus(real − E fake) + E softplus(E real − fake).
    """
    return relativistic_discriminator(fake, real, weight)


def relativistic_discriminator(real: Tensor, fake: Tensor, weight: Tensor | None = None) -> Tensor:
    """The same with real and fake exchanged (ESRGAN, eq. 1)."""
    ahead = softplus(_mean(fake, weight) - real)
    behind = softplus(fake - _mean(real, weight))
    return _mean(ahead, weight) + _mean(behind, weight)


def non_saturating_generator(real: Tensor, fake: Tensor, weight: Tensor | None = None) -> Tensor:
    """E softplus(−fake) (Goodfellow et al. 2014, the form of their section 3); real is not used."""
    return _mean(softplus(-fake), weight)


def non_saturating_discriminator(
    real: Tensor, fake: Tensor, weight: Tensor | None = None
) -> Tensor:
    """E softplus(−real) + E softplus(fake) (Goodfellow et al. 2014, eq. 1)."""
    return _mean(softplus(-real), weight) + _mean(softplus(fake), weight)


def hinge_generator(real: Tensor, fake: Tensor, weight: Tensor | None = None) -> Tensor:
    """−E fake (Lim & Ye 2017, arXiv:1705.02894); real is not used."""
    return -_mean(fake, weight)


def hinge_discriminator(real: Tensor, fake: Tensor, weight: Tensor | None = None) -> Tensor:
    """E max(0, 1 − real) + E max(0, 1 + fake) (Lim & Ye 2017)."""
    return _mean(relu(1 - real), weight) + _mean(relu(1 + fake), weight)


Contest = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(real, fake, weight) -> one number."""


class Adversarial(NamedTuple):
    """The two sides of one contest."""

    generator: Contest
    discriminator: Contest


ADVERSARIAL: dict[str, Adversarial] = {
    "relativistic": Adversarial(relativistic_generator, relativistic_discriminator),
    "non_saturating": Adversarial(non_saturating_generator, non_saturating_discriminator),
    "hinge": Adversarial(hinge_generator, hinge_discriminator),
}


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """[B] half the squared gradient of the logits with respect to hr [B, C, sH, sW].

    Mescheder et al. 2018, arXiv:1801.04406, eq. 9 without its factor γ. The gradient is that of
    the sum of an example's logits, its square is divided by their number: so a larger image costs
    no more. The result can be derived again.
    """
    real = real.detach().requires_grad_()
    logits = discriminator(real)
    (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(1) / (2 * logits[0].numel())


def patch_weight(weight: Tensor, logits: Tensor) -> Tensor:
    """[B, 1, h, w] how far each logit looks at ground to be learnt from, from [B, C, sH, sW]."""
    return adaptive_avg_pool2d(weight.amax(1, keepdim=True), (logits.shape[-2], logits.shape[-1]))


def _mean(values: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None:
        return values.mean()
    return (values * weight).sum() / weight.sum().clamp_min(1e-6)
