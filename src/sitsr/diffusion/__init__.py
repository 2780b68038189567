"""Draw images from noise: the theories, their samplers and their losses, one file each.

    rotation   the flow of the method: residual and noise turn into each other
    karras     EDM: denoisers at any noise level
    chains     DDPM and its faster samplers, as SRDiff and SR3 use them
    transport  a flow from one image to another
    scores     fair CRPS and energy score, which a generator of one step is trained with

Networks are handed in as plain functions, with what they are conditioned on bound beforehand.
"""

from sitsr.diffusion import chains, karras, transport
from sitsr.diffusion.rotation import (
    NOISE,
    Step,
    Velocity,
    angles,
    descend,
    draw,
    euler,
    flow_error,
    heun,
    rotate,
)
from sitsr.diffusion.scores import energy_score, fair_crps

__all__ = [
    "NOISE",
    "Step",
    "Velocity",
    "angles",
    "chains",
    "descend",
    "draw",
    "energy_score",
    "euler",
    "fair_crps",
    "flow_error",
    "heun",
    "karras",
    "rotate",
    "transport",
]
