"""Temporal encoders: what the images of a series say together about one date.

An encoder is any module with this forward:

    images  float [B, T, C, H, W]   reflectance; any value where clear is False
    clear   bool  [B, T, H, W]      True where the ground is seen
    days    float [B, T]            acquisition minus target date, signed
    ->      Encoding                what is known of the ground at the target date

and keeps these promises: what lies under cloud does not matter, the order of the images does not
matter, an image with nothing clear adds nothing, and the outside of the picture is the same as
ground never seen. The last is kept by one rule: *a pixel that is not seen is zero in every layer*,
just as the padding of a convolution is.
"""

from sitsr.encoders.anchors import (
    CONTRAST_REACH,
    LEAST_CONTRAST,
    UNIT,
    UPSAMPLE_REACH,
    Encoding,
    anchor_at_target,
    enlarged,
    local_contrast,
    upsample,
)
from sitsr.encoders.layers import ResidualBlock, he
from sitsr.encoders.target_date import (
    MeanOverTime,
    TargetDateAttention,
    TargetDateEncoder,
    describe_days,
)

__all__ = [
    "CONTRAST_REACH",
    "LEAST_CONTRAST",
    "UNIT",
    "UPSAMPLE_REACH",
    "Encoding",
    "MeanOverTime",
    "ResidualBlock",
    "TargetDateAttention",
    "TargetDateEncoder",
    "anchor_at_target",
    "describe_days",
    "enlarged",
    "he",
    "local_contrast",
    "upsample",
]
