"""The public data sets that can be fetched, checked and read, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sitsr.datasets.alsat import is_alsat2b, read_alsat2b
from sitsr.datasets.breizhsr import is_breizhsr, read_breizhsr
from sitsr.datasets.download import Remote
from sitsr.datasets.exchange import read_pairs
from sitsr.datasets.landsat import landsat_pairs
from sitsr.datasets.mus2 import is_mus2, read_mus2
from sitsr.datasets.pairs import Fault, Pair, Source, at_hand, real_pairs
from sitsr.datasets.probav import is_probav, read_probav
from sitsr.datasets.records import Dataverse, Links, Record, Zenodo
from sitsr.datasets.sen2venus import is_sen2venus, read_sen2venus
from sitsr.datasets.store import is_store, name_of_store, read_store
from sitsr.datasets.worldstrat import is_worldstrat, read_worldstrat, worldstrat_faults
from sitsr.series import InputError

Read = Callable[[Path, str | None], list[Source]]


def _no_faults(folder: Path) -> Iterator[tuple[str, str, Fault]]:
    yield from ()


def _all_parts(folder: Path, split: str | None) -> list[Source]:
    """Alsat-2B has its splits in different folders, and reads one at a time."""
    asked = ("train", "validation", "test") if split is None else (split,)
    return [each for part in asked for each in read_alsat2b(folder, part)]


def _published(folder: Path, split: str | None) -> list[Source]:
    return read_worldstrat(folder, split, grouped=False)


def _is_vorarlberg(folder: Path) -> bool:
    parts = ("0/s2.tif", "0/orthophoto.tif")
    return all((folder / part).is_file() for part in parts)


def _is_flanders(folder: Path) -> bool:
    return any(folder.glob("L8_SR_10m_*.nc")) and any(folder.glob("S2_L2A_10m_*.nc"))


def _without_splits(pairs: Sequence[Pair], split: str | None) -> list[Source]:
    if split is not None:
        raise InputError(f"there is no split {split} here; ask for none")
    return [at_hand(pair) for pair in pairs]


@dataclass(frozen=True)
class Known:
    """A public data set."""

    title: str
    summary: str
    licence: str
    """Its name, and of which part."""
    terms: str
    """What it means for weights that are trained on it."""
    cite: str
    record: Record | None
    """Where it is kept; None where no record was found."""
    usual: tuple[str, ...] | None
    """Files of the record that are fetched if nothing else is said; None is all."""
    page: str
    """Of the documentation."""
    is_there: Callable[[Path], bool]
    read: Read
    as_published: Read | None = None
    """The same with the splits as they were published, where reading mends them."""
    faults: Callable[[Path], Iterator[tuple[str, str, Fault]]] = _no_faults
    """(site, patch, fault) of its tables."""


NON_COMMERCIAL = "weights trained on it are not for commercial use, and their card says so"
NOT_STATED = "train and measure, but pass on neither the images nor weights trained on them"

OF_WEIGHTS = {
    NON_COMMERCIAL: "not for commercial use: trained on imagery under CC BY-NC",
    NOT_STATED: "not to be redistributed: trained on imagery without a licence",
}
"""What the card of weights says under these terms."""

DATASETS: Mapping[str, Known] = {
    "worldstrat": Known(
        title="WorldStrat",
        summary="Sentinel-2 series of 16 revisits with SPOT 6/7 at 1.5 m, tiles of the whole world",
        licence="CC BY-NC 4.0 (SPOT imagery), CC BY 4.0 (Sentinel-2 imagery and labels)",
        terms=NON_COMMERCIAL,
        cite="J. Cornebise, I. Oršolić, F. Kalaitzis. Open High-Resolution Satellite Imagery: The "
        "WorldStrat Dataset – With Application to Super-Resolution. NeurIPS 2022 Datasets and "
        "Benchmarks. arXiv:2207.06418",
        record=Zenodo(
            "6810792",
            {
                "hr_dataset.tar.gz": "ca7167334006f3c17f9071f14c435335",
                "lr_dataset_l1c.tar.gz": "d2dcafa207b1e1bc6c754607f15e9ed6",
                "lr_dataset_l2a.tar.gz": "8cfc6a477cee9e9cd8b20ea27227de65",
                "metadata.csv": "dfeb3348e79b719bf03c230d5d258839",
                "stratified_train_val_test_split.csv": "745035835d835280aa0298a9dc1996d1",
            },
        ),
        usual=(
            *("hr_dataset.tar.gz", "lr_dataset_l2a.tar.gz", "metadata.csv"),
            "stratified_train_val_test_split.csv",
        ),
        page="docs/datasets/worldstrat.md",
        is_there=is_worldstrat,
        read=read_worldstrat,
        as_published=_published,
        faults=worldstrat_faults,
    ),
    "breizhsr": Known(
        title="BreizhSR",
        summary="Sentinel-2 series of 2018 with SPOT-6 at 2.5 m, Brittany, in colour",
        licence="not verified: read the record",
        terms=NOT_STATED,
        cite="S. Okabayashi et al. Cross-Sensor Super-Resolution of Irregularly Sampled Sentinel-2 "
        "Time Series. EarthVision 2024. arXiv:2404.16409",
        record=Zenodo("11551220", {}),
        usual=None,
        page="docs/datasets/breizhsr.md",
        is_there=is_breizhsr,
        read=read_breizhsr,
    ),
    "sen2venus": Known(
        title="Sen2Venµs",
        summary="Sentinel-2 with VENµS at 5 m of the same day, 29 places, harmonised already",
        licence="CC BY-NC 4.0 (VENµS), Etalab 2.0 (Sentinel-2)",
        terms=NON_COMMERCIAL,
        cite="J. Michel et al. SEN2VENµS, a Dataset for the Training of Sentinel-2 "
        "Super-Resolution Algorithms. Data 7(7), 2022. doi:10.3390/data7070096",
        record=Zenodo("6514159", {}),
        usual=None,
        page="docs/datasets/sen2venus.md",
        is_there=is_sen2venus,
        read=read_sen2venus,
    ),
    "probav": Known(
        title="PROBA-V super-resolution",
        summary="PROBA-V series of 300 m with images of 100 m, the competition of 2018",
        licence="none found",
        terms=NOT_STATED,
        cite="M. Märtens et al. Super-Resolution of PROBA-V Images Using Convolutional Neural "
        "Networks. Astrodynamics 3, 2019. doi:10.1007/s42064-019-0059-8",
        record=Links(
            "https://kelvins.esa.int/proba-v-super-resolution/data/",
            (
                Remote(
                    "probav_data.zip",
                    "https://kelvins.esa.int/media/competitions/proba-v-super-resolution/"
                    "probav_data.zip",
                ),
            ),
        ),
        usual=None,
        page="docs/datasets/probav.md",
        is_there=is_probav,
        read=read_probav,
    ),
    "mus2": Known(
        title="MuS2",
        summary="Sentinel-2 series with WorldView-2 at 3.3 m, 91 scenes to measure with",
        licence="CC0",
        terms="no conditions",
        cite="P. Kowaleczko et al. A Real-World Benchmark for Sentinel-2 Multi-Image "
        "Super-Resolution. Scientific Data 10, 2023. doi:10.1038/s41597-023-02538-9",
        record=Dataverse("doi:10.7910/DVN/1JMRAT", {}),
        usual=None,
        page="docs/datasets/mus2.md",
        is_there=is_mus2,
        read=read_mus2,
    ),
    "alsat2b": Known(
        title="Alsat-2B",
        summary="one satellite's colour images at 10 m with its own at 2.5 m, single dates",
        licence="none stated",
        terms=NOT_STATED,
        cite="A. Djerida et al. Alsat-2B: A New Dataset for Deep Learning Single Image "
        "Super-Resolution. arXiv:2103.12547",
        record=None,
        usual=None,
        page="docs/datasets/README.md",
        is_there=is_alsat2b,
        read=_all_parts,
    ),
    "vorarlberg": Known(
        title="Vorarlberg",
        summary="Sentinel-2 with aerial orthophotos at 2.5 m, three tiles of one valley",
        licence="CC BY 4.0 (orthophotos), free and open (Sentinel-2)",
        terms="no conditions but the credit",
        cite="orthophotos: BEV / basemap.at; contains modified Copernicus Sentinel data 2023",
        record=None,
        usual=None,
        page="docs/datasets/archives.md",
        is_there=_is_vorarlberg,
        read=lambda folder, split: _without_splits(real_pairs(folder), split),
    ),
    "flanders": Known(
        title="Flanders",
        summary="Landsat-8 series with Sentinel-2 as reference, 30 m to 10 m, one patch of fields",
        licence="public domain (Landsat-8), free and open (Sentinel-2)",
        terms="no conditions but the credit",
        cite="Landsat-8 image courtesy of the U.S. Geological Survey; contains modified Copernicus "
        "Sentinel data 2017–2018",
        record=None,
        usual=None,
        page="docs/datasets/archives.md",
        is_there=_is_flanders,
        read=lambda folder, split: _without_splits(landsat_pairs(folder), split),
    ),
}
"""By the names that commands take."""


def known(name: str) -> Known:
    """The data set of this name; InputError where there is none."""
    if name not in DATASETS:
        raise InputError(f"{name} is no data set that is known; choose from {', '.join(DATASETS)}")
    return DATASETS[name]


def recognise(folder: Path) -> str | None:
    """The name of the data set that a folder is laid out as, None where it is none of them."""
    return next((name for name, each in DATASETS.items() if each.is_there(folder)), None)


def licence_of_weights(folder: Path) -> str | None:
    """What the card of weights trained on the data in a folder has to say; None where nothing."""
    name = name_of_store(folder) if is_store(folder) else recognise(folder) or ""
    return OF_WEIGHTS.get(DATASETS[name].terms) if name in DATASETS else None


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
