"""What every metric asks of its arguments, and how it looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from sitsr.series import Booleans, InputError

Reals = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]


def check(estimate: Reals, reference: Reals, clear: Booleans) -> None:
    """Refuse images of different shapes, a mask of another shape, and NaN where it is clear."""
    if estimate.ndim != 3 or estimate.shape != reference.shape:
        raise InputError(
            f"estimate {list(estimate.shape)} and reference {list(reference.shape)} "
            "must both be one [C, H, W]; cut them to the same ground"
        )
    if clear.dtype != np.bool_ or clear.shape != reference.shape[1:]:
        raise InputError(
            f"clear is {clear.dtype} {list(clear.shape)}; "
            f"the reference asks for bool {list(reference.shape[1:])}"
        )
    if not clear.any():
        raise InputError(f"none of {size(clear)} pixels is clear; give a clearer reference")
    for name, image in (("estimate", estimate), ("reference", reference)):
        bad = int(np.sum(~np.isfinite(image[:, clear])))
        if bad:
            raise InputError(
                f"{name} is NaN or infinite at {bad} clear values; set clear to False there"
            )


def size(clear: Booleans) -> str:
    """Rows and columns, as a message says them."""
    return " × ".join(map(str, clear.shape))


def seen(estimate: Reals, reference: Reals, clear: Booleans) -> tuple[Doubles, Doubles]:
    """Both images where clear, [C, clear pixels]."""
    check(estimate, reference, clear)
    return estimate[:, clear].astype(np.float64), reference[:, clear].astype(np.float64)


def each_band(
    samples: Reals, reference: Reals, clear: Booleans
) -> Iterator[tuple[Doubles, Doubles]]:
    """Band by band, to bound the memory: members [M, clear pixels] and truth [clear pixels]."""
    if samples.ndim != 4 or len(samples) < 2:
        raise InputError(
            f"samples {list(samples.shape)} must be [M, C, H, W] with M of 2 or more; draw more"
        )
    for member in samples:
        check(member, reference, clear)
    for band, truth in enumerate(reference):
        yield samples[:, band, clear].astype(np.float64), truth[clear].astype(np.float64)
