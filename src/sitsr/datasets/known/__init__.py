"""The public data sets that sitsr reads: what they are, who may do what with them, where they lie.

``DATASETS`` holds a record of each, by the name that commands take. Sizes and checksums that are
not written here are asked of the official record when something is fetched (``records``);
checksums that are, bind: a record that disagrees is refused.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from sitsr.datasets.exchange import read_pairs
from sitsr.datasets.known.record import Host, Known, Licence, Record, Weights
from sitsr.datasets.known.sets import DATASETS
from sitsr.datasets.pairs import Source
from sitsr.datasets.store import is_store, name_of_store, read_store
from sitsr.series import InputError

__all__ = [
    "DATASETS",
    "Host",
    "Known",
    "Licence",
    "Record",
    "Weights",
    "find_dataset",
    "licence_of_weights",
    "open_dataset",
    "recognise",
]

OF_WEIGHTS: dict[Weights, str | None] = {
    "any use": None,
    "non-commercial": "not for commercial use: trained on imagery under CC BY-NC",
    "not stated": "not to be redistributed: trained on imagery without a licence",
}
"""What the card of weights has to say."""


def find_dataset(name: str) -> Known:
    """The data set of this name; InputError, with the nearest names, where there is none."""
    if name in DATASETS:
        return DATASETS[name]
    near = get_close_matches(name.lower(), DATASETS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(DATASETS)}"
    raise InputError(f"{name} is no data set that is known here; {hint}")


def recognise(folder: Path) -> str | None:
    """The name of the data set that a folder is laid out as, None where it is none of them."""
    return next((name for name, each in DATASETS.items() if each.is_there(folder)), None)


def licence_of_weights(folder: Path) -> str | None:
    """What the card of weights trained on the data in a folder has to say; None where nothing."""
    name = name_of_store(folder) if is_store(folder) else recognise(folder) or ""
    return OF_WEIGHTS[DATASETS[name].licence.weights] if name in DATASETS else None


def open_dataset(folder: Path, split: str | None = None) -> list[Source]:
    """The pairs in a folder, not read yet: a public data set, a training store, or pairs on disk.

    split: None for all. InputError where the folder is none of these.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds a data set")
    if name := recognise(folder):
        return DATASETS[name].read(folder, split)
    if is_store(folder):
        return read_store(folder, split)
    return read_pairs(folder, split)
