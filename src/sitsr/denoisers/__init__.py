"""Networks that tell a residual from noise, given the features of a series.

folded   on the low-resolution grid, the residual folded: the method's own
unet     on the high-resolution grid, as SRDiff and SR3 have it
fold     from one grid to the other and back, by pixel-unshuffle or Haar wavelets
"""

from sitsr.denoisers.fold import fold, unfold
from sitsr.denoisers.folded import ModulatedBlock, ResidualVelocity
from sitsr.denoisers.unet import UNet

__all__ = ["ModulatedBlock", "ResidualVelocity", "UNet", "fold", "unfold"]
