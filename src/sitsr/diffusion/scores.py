"""Proper scores of members against the truth, that a generator is trained with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def fair_crps(members: Tensor, truth: Tensor) -> Tensor:
    """Fair continuous ranked probability score, element by element.

    members [M, ...], truth [...] -> [...]:  mean |x_i − y| − Σ_{i<j} |x_i − x_j| / (M (M − 1)).
    Its expectation is least when the members are drawn from the distribution of the truth, for any
    M ≥ 2 (Ferro 2014, doi:10.1002/qj.2270).
    """
    return _fair_score(members, truth, torch.abs)


def energy_score(members: Tensor, truth: Tensor, side: int) -> Tensor:
    """Fair energy score of patches: CRPS with distances between whole patches in place of pixels.

    members [M, B, D, H, W], truth [B, D, H, W] -> [B, 1, H − side + 1, W − side + 1], one score for
    every side × side patch, of Euclidean distances per √element. Unlike the CRPS of single pixels
    it asks for the right dependence between neighbours (Gneiting & Raftery 2007, eq. 21).
    """

    def distance(difference: Tensor) -> Tensor:
        power = difference.square().mean(-3, keepdim=True).flatten(0, -4)
        pooled = torch.nn.functional.avg_pool2d(power, side, stride=1)
        distances: Tensor = (pooled + 1e-12).sqrt().unflatten(0, difference.shape[:-3])
        return distances

    return _fair_score(members, truth, distance)


def _fair_score(members: Tensor, truth: Tensor, distance: Callable[[Tensor], Tensor]) -> Tensor:
    count = len(members)
    if count < 2:
        raise ValueError(f"a fair score needs two members or more, got {count}")
    skill = distance(members - truth).mean(0)
    pairs = [distance(members[i] - members[j]) for i in range(count) for j in range(i)]
    return skill - torch.stack(pairs).sum(0) / (count * (count - 1))
