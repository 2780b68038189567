"""The methods to compare, by name: which encoder, which generator, what the mean is trained on.

Every method is one ``Model`` with other parts. What differs from its paper is said in ``note``;
what all have in common: bands are reflectance, clouds are masked, no layer looks at a whole tile
(no batch, instance or group statistics), and heads are a 3 × 3 convolution and pixel shuffle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from sitsr.series import InputError

PLAIN = {"relative": False, "deblurred": False, "consistent": False}
"""A network of the literature: fixed units, a residual over bicubic, held to nothing."""


@dataclass(frozen=True)
class Method:
    """One way from a series to images of the ground."""

    paper: str
    card: Mapping[str, Any]
    """Fields of ``sitsr.model.Card`` that make it."""
    losses: Mapping[str, float] = field(default_factory=lambda: {"l1": 1.0})
    """Terms of the mean's loss and their weights (``sitsr.training.losses``)."""
    mean_share: float = 0.6
    """Share of the batches that fit the mean; the rest fit the generator, if there is one."""
    note: str = ""
    """What differs from the paper."""


def _plain(encoder: str, width: int, **settings: Any) -> dict[str, Any]:
    return PLAIN | {
        "encoder": encoder,
        "width": width,
        "encoder_settings": settings,
        "generator": "none",
    }


SINGLE = "sees one image: the clear ones averaged with weights for nearness to the target date"
DENSE = {"blocks": 8, "growth": 16}
ADVERSARIAL = {"l1": 1.0, "perceptual": 0.02, "adversarial": 0.005}

ENCODED: dict[str, tuple[str, dict[str, Any]]] = {
    "srcnn": ("Dong et al. 2014, doi:10.1007/978-3-319-10593-2_13", _plain("srcnn", 64)),
    "srresnet": ("Ledig et al. 2017, arXiv:1609.04802", _plain("srresnet", 64, blocks=16)),
    "rrdb": ("Wang et al. 2018, arXiv:1809.00219", _plain("rrdb", 32, **DENSE)),
    "highresnet": ("Deudon et al. 2020, arXiv:2002.06460", _plain("highresnet", 64)),
    "rams": ("Salvetti et al. 2020, doi:10.3390/rs12142207", _plain("rams", 32)),
    "trmisr": ("An et al. 2022, doi:10.1109/JSTARS.2022.3143532", _plain("trmisr", 64)),
    "piunet": ("Valsesia & Magli 2022, arXiv:2105.12409", _plain("piunet", 42)),
    "highresnet-ltae": ("Okabayashi et al. 2024, arXiv:2404.16409", _plain("ltae", 64)),
    "rrdb-ltae": (
        "Okabayashi et al. 2024, arXiv:2404.16409",
        _plain("ltae", 32, embed="rrdb", blocks=8),
    ),
    "stacked": (
        "Wolters et al. 2023, arXiv:2311.18082",
        _plain("stacked", 64, blocks=8, growth=32),
    ),
    "conv3d": ("Dorr 2020, doi:10.3390/rs12223812", _plain("conv3d", 32)),
    "convgru": ("Arefin et al. 2020, doi:10.1109/CVPRW50498.2020.00111", _plain("convgru", 64)),
    "convlstm": ("Shi et al. 2015, arXiv:1506.04214", _plain("convlstm", 64)),
}
"""Deterministic networks: the paper, and what makes them."""

GENERATIVE = {
    "srdiff": ("Li et al. 2021, arXiv:2104.14951", {"generator": "srdiff"}),
    "cfm": (
        "Lipman et al. 2023, arXiv:2210.02747",
        {"generator": "transport"},
    ),
}


def _levels(generator: str, encoder: str) -> dict[str, Any]:
    """SRDiff has 100 levels; with encoders of series it was published with 500."""
    several = generator == "srdiff" and encoder != "rrdb"
    return {"generator_settings": {"levels": 500}} if several else {}


OURS: dict[str, Any] = {
    "encoder": "target date",
    "width": 64,
    "encoder_settings": {"frame_blocks": 2, "frame_width": 48, "trunk_blocks": 10},
    "generator": "rotation",
}
ROBUST = {"robust": 1.0}
HERE = "docs/method.md"

METHODS: dict[str, Method] = {
    "sitsr": Method(HERE, OURS, ROBUST),
    "sitsr-edm": Method(HERE, OURS | {"generator": "karras"}, ROBUST),
    "sitsr-haar": Method(HERE, OURS | {"generator_settings": {"kind": "haar"}}, ROBUST),
    "sitsr-free": Method(HERE, OURS | {"consistent": False}, ROBUST),
    "sitsr-ltae": Method(
        HERE,
        OURS | {"encoder": "ltae", "encoder_settings": {"query": "target date"}, "width": 64},
        ROBUST,
        note="the temporal encoder of BreizhSR asked for the target date, under our generator",
    ),
    **{
        name: Method(
            paper,
            card,
            {"laplace": 1.0} if name == "piunet" else {"l1": 1.0},
            note=SINGLE if name in ("srcnn", "srresnet", "rrdb") else "",
        )
        for name, (paper, card) in ENCODED.items()
    },
    "srgan": Method(
        *ENCODED["srresnet"], ADVERSARIAL, note=SINGLE + "; texture of fixed filters for VGG"
    ),
    "esrgan": Method(
        *ENCODED["rrdb"], ADVERSARIAL, note=SINGLE + "; texture of fixed filters for VGG"
    ),
    "stacked-esrgan": Method(*ENCODED["stacked"], ADVERSARIAL),
    "sr3": Method(
        "Saharia et al. 2021, arXiv:2104.07636",
        ENCODED["srresnet"][1] | {"generator": "sr3"},
        note=SINGLE + "; no attention within the U-Net",
    ),
    **{
        f"{generator}-{name}" if name != "rrdb" else generator: Method(
            f"{paper}; {ENCODED[name][0]}",
            ENCODED[name][1] | made | _levels(generator, name),
        )
        for generator, (paper, made) in GENERATIVE.items()
        for name in (
            "rrdb",
            "highresnet",
            "highresnet-ltae",
            "rrdb-ltae",
            "trmisr",
            "piunet",
            "rams",
        )
    },
}
"""Any other pair of encoder and generator is a recipe with ``network.encoder`` and
``network.generator``."""


def method(name: str) -> Method:
    """The method of this name."""
    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1) or sorted(METHODS)
        raise InputError(f"{name} is not a method; did you mean {' or '.join(near)}?")
    return METHODS[name]
