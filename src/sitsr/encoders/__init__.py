"""Temporal encoders: what the images of a series say together about one date.

An encoder is any module with this forward:

    images  float [B, T, C, H, W]   reflectance; any value where clear is False
    clear   bool  [B, T, H, W]      True where the ground is seen
    days    float [B, T]            acquisition minus target date, signed
    season  float [B] or None       phase of the target's day in the year, 0 to 1; NaN: unknown
    ->      Encoding                what is known of the ground at the target date

and keeps these promises: what lies under cloud does not matter, the order of the images does not
matter, an image with nothing clear adds nothing, and the outside of the picture is the same as
ground never seen. The last is kept by one rule: *a pixel that is not seen is zero in every layer*,
just as the padding of a convolution is.
"""

from sitsr.encoders.anchors import (
    A_YEAR_AWAY,
    CONTRAST_REACH,
    LEAST_CONTRAST,
    UNIT,
    UPSAMPLE_REACH,
    Encoding,
    anchor_at_target,
    enlarged,
    local_contrast,
    nearness,
    upsample,
)
from sitsr.encoders.layers import ResidualBlock, he
from sitsr.encoders.ltae import LTAE
from sitsr.encoders.permutation import PIUnet
from sitsr.encoders.recurrent import ConvGRU, ConvLSTM
from sitsr.encoders.recursive import HighResNet
from sitsr.encoders.single import RRDB, SRCNN, SRResNet
from sitsr.encoders.stacked import Stacked
from sitsr.encoders.target_date import (
    MeanOverTime,
    TargetDateAttention,
    TargetDateEncoder,
    describe_days,
)
from sitsr.encoders.transformer import TRMISR
from sitsr.encoders.volumes import RAMS, Conv3D

ENCODERS = {
    "target date": TargetDateEncoder,
    "mean over time": MeanOverTime,
    "srcnn": SRCNN,
    "srresnet": SRResNet,
    "rrdb": RRDB,
    "highresnet": HighResNet,
    "ltae": LTAE,
    "rams": RAMS,
    "trmisr": TRMISR,
    "piunet": PIUnet,
    "stacked": Stacked,
    "conv3d": Conv3D,
    "convgru": ConvGRU,
    "convlstm": ConvLSTM,
}
"""Every encoder by name. All keep the promises above, or say in ``breaks`` which they do not."""

__all__ = [
    "A_YEAR_AWAY",
    "CONTRAST_REACH",
    "ENCODERS",
    "LEAST_CONTRAST",
    "LTAE",
    "RAMS",
    "RRDB",
    "SRCNN",
    "TRMISR",
    "UNIT",
    "UPSAMPLE_REACH",
    "Conv3D",
    "ConvGRU",
    "ConvLSTM",
    "Encoding",
    "HighResNet",
    "MeanOverTime",
    "PIUnet",
    "ResidualBlock",
    "SRResNet",
    "Stacked",
    "TargetDateAttention",
    "TargetDateEncoder",
    "anchor_at_target",
    "describe_days",
    "enlarged",
    "he",
    "local_contrast",
    "nearness",
    "upsample",
]
