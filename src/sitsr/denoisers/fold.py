"""Fold a high-resolution image onto the low-resolution grid, without loss, in one of two bases.

Each block of scale × scale pixels of a band becomes scale² channels of one low-resolution pixel,

    z = M p,     p the block's pixels row by row,     M orthonormal,

so that norms are kept, white noise stays white, and unfolding is Mᵀ.

    unshuffle   M = 1: a channel is a place within the block (Shi et al. 2016, arXiv:1609.05158)
    haar        M = Haar wavelets of log₂ scale levels: the block's sum / scale comes first, then
                differences from the widest to the narrowest, each along columns, rows, diagonals
                (Mallat 1989, doi:10.1109/34.192463, with the filters (1, 1)/√2 and (1, −1)/√2)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sitsr.series import InputError

Kind = Literal["unshuffle", "haar"]


def fold(image: Tensor, scale: int, kind: Kind) -> Tensor:
    """[B, C, scale·H, scale·W] -> [B, C·scale², H, W], all channels of a band side by side."""
    rows, cols = image.shape[-2:]
    if rows % scale or cols % scale:
        raise InputError(
            f"an image of {rows} × {cols} pixels cannot be folded by {scale}; "
            f"pad its sides to multiples of {scale}"
        )
    return _turned(pixel_unshuffle(image, scale), basis(scale, kind))


def unfold(folded: Tensor, scale: int, kind: Kind) -> Tensor:
    """[B, C·scale², H, W] -> [B, C, scale·H, scale·W]: what fold() was given."""
    if folded.shape[-3] % scale**2:
        raise InputError(
            f"{folded.shape[-3]} channels cannot be unfolded by {scale}; "
            f"give a multiple of {scale**2}"
        )
    return pixel_shuffle(_turned(folded, basis(scale, kind).T), scale)


def basis(scale: int, kind: Kind) -> npt.NDArray[np.float64]:
    """M [scale², scale²], orthonormal: a row for each channel, a column for each pixel."""
    if kind == "unshuffle":
        return np.eye(scale**2)
    if kind != "haar":
        raise InputError(f"a fold of kind {kind!r} is unknown; choose 'unshuffle' or 'haar'")
    if scale < 1 or scale & (scale - 1):
        raise InputError(f"haar folds by a power of two, not by {scale}; choose 'unshuffle'")
    return _haar(scale).reshape(scale**2, scale**2)


@lru_cache(maxsize=8)
def _haar(scale: int) -> npt.NDArray[np.float64]:
    """Wavelets [scale², scale, scale]: those of half the scale enlarged, and the narrowest."""
    if scale == 1:
        return np.ones((1, 1, 1))
    half = scale // 2
    flat = np.array([[[1, 1], [1, 1]]]) / 2
    edges = np.array([[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2
    places = np.eye(half**2).reshape(-1, half, half)
    return np.concatenate([np.kron(_haar(half), flat), np.kron(places, edges)])


def _turned(folded: Tensor, matrix: npt.NDArray[np.float64]) -> Tensor:
    """The channels [C·scale²] of each band times a matrix [scale², scale²]."""
    turn = torch.tensor(matrix, dtype=folded.dtype, device=folded.device)
    bands = folded.unflatten(-3, (-1, len(matrix)))
    return torch.einsum("kp,...cphw->...ckhw", turn, bands).flatten(-4, -3)
