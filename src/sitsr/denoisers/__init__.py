"""Networks that tell a residual from noise, given the features of a series.

folded   on the low-resolution grid, the residual folded by pixel-unshuffle: the method's own
"""

from sitsr.denoisers.folded import ModulatedBlock, ResidualVelocity

__all__ = ["ModulatedBlock", "ResidualVelocity"]
