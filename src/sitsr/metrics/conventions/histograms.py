"""Values of one image in place of another's, so that both hold as much of each brightness."""

from __future__ import annotations

import numpy as np

from sitsr.metrics.checks import Doubles, Reals


def match_histogram(image: Reals, reference: Reals) -> Doubles:
    """The image, of any shape, with the values of the reference, of any shape, in its own order.

    A value is replaced by what stands at the same quantile of the reference, linear between its
    values (Gonzalez & Woods, "Digital Image Processing", histogram specification). Values that
    are equal stay equal.
    """
    _, places, counts = np.unique(image.ravel(), return_inverse=True, return_counts=True)
    theirs, their_counts = np.unique(reference.ravel(), return_counts=True)
    matched = np.interp(
        np.cumsum(counts) / image.size,
        np.cumsum(their_counts) / reference.size,
        theirs.astype(np.float64),
    )
    return np.asarray(matched[places.ravel()].reshape(image.shape), np.float64)
