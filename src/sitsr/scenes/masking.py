"""How clear sky is found, as a user may wish it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sitsr.clouds import REACH, grown
from sitsr.scenes.covers import CLOUD_CLASSES, COVERS, Rule, scene_classes
from sitsr.scenes.units import Raw
from sitsr.series import Booleans, Floats, InputError

Mask = Callable[[Floats, Sequence[str]], Booleans]
"""From reflectance [T, C, H, W] (0 where nodata) and band names to clear [T, H, W]."""

MOST_DILATED = 100
"""Pixels: a kilometre around a cloud."""


@dataclass(frozen=True, slots=True)
class Masking:
    """How clear sky is found."""

    mask: Mask | None = None
    """Finds it in place of what the source states. It may look 126 pixels far."""
    cloud_classes: tuple[int, ...] = CLOUD_CLASSES
    """Sen2Cor's scene classes that do not show the ground."""
    dilate: int = 0
    """Pixels by which all that does not show the ground is grown, nodata left out."""
    trusted: bool = True
    """Whether the mask that comes with an image is used; else the spectral rule."""

    def __post_init__(self) -> None:
        if not 0 <= self.dilate <= MOST_DILATED:
            raise InputError(f"dilate is {self.dilate}; give 0 to {MOST_DILATED} pixels")
        strange = [number for number in self.cloud_classes if not 0 <= number <= 11]
        if strange:
            raise InputError(f"scene class {strange[0]} does not exist; classes are 0 to 11")

    def reach(self, stated: bool) -> int:
        """Pixels that what is found depends on around each; stated: every image has its mask."""
        return self.dilate + (0 if stated and self.mask is None else REACH)

    def of_layer(self, kind: str, values: Raw) -> Booleans:
        """[H, W] where a mask of this kind says that the ground is seen."""
        rule: Rule = scene_classes(self.cloud_classes) if kind == "SCL" else COVERS[kind]
        return rule(values)

    def dilated(self, clear: Booleans, seen: Booleans) -> Booleans:
        """What is clear [T, H, W] without what lies near to what was seen and is not."""
        return clear & ~grown(seen & ~clear, self.dilate) if self.dilate else clear
