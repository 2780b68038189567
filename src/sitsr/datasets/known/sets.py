"""The public data sets, one record each.

A record says nothing that the data set does not say of itself; what is not known is None, or is
said to be. Checksums that are written here bind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sitsr.datasets.alsat import SPLITS as ALSAT2B_SPLITS
from sitsr.datasets.alsat import is_alsat2b, read_alsat2b
from sitsr.datasets.breizhsr import is_breizhsr, read_breizhsr
from sitsr.datasets.known.record import Known, Licence, Record
from sitsr.datasets.landsat import landsat_pairs
from sitsr.datasets.mus2 import is_mus2, read_mus2
from sitsr.datasets.pairs import LANDSAT, PUBLISHED, REAL, Pair, Source, at_hand, real_pairs
from sitsr.datasets.probav import is_probav, read_probav
from sitsr.datasets.sen2venus import is_sen2venus, read_sen2venus
from sitsr.datasets.worldstrat import (
    SPLIT_FILE,
    is_worldstrat,
    read_worldstrat,
    worldstrat_faults,
)
from sitsr.series import InputError


def _read_alsat2b(folder: Path, split: str | None) -> list[Source]:
    splits = (split,) if split else ALSAT2B_SPLITS
    return [source for each in splits for source in read_alsat2b(folder, each)]


CC_BY_NC = "https://creativecommons.org/licenses/by-nc/4.0/"

WORLDSTRAT = Known(
    name="worldstrat",
    title="WorldStrat",
    summary="Sentinel-2 series (16 dates, 10 m) with SPOT 6/7 (1.5 m); 10 000 km² worldwide",
    kind=REAL,
    scale="4 and others",
    licence=Licence(
        "SPOT images: CC BY-NC 4.0; Sentinel-2 images and labels: CC BY 4.0",
        CC_BY_NC,
        "non-commercial",
        "Credit Airbus for the SPOT images, and say: contains modified Copernicus Sentinel data.",
    ),
    cite=(
        "J. Cornebise, I. Oršolić, F. Kalaitzis (2022). Open High-Resolution Satellite Imagery: "
        "The WorldStrat Dataset – With Application to Super-Resolution. NeurIPS 35, Datasets and "
        "Benchmarks Track. arXiv:2207.06418. Data: doi 10.5281/zenodo.6810792"
    ),
    home="https://worldstrat.github.io",
    records=(
        Record(
            edition="1",
            host="zenodo",
            identifier="6810792",
            page="https://zenodo.org/records/6810792",
            # As a widely used reader of the data set states them.
            md5=MappingProxyType(
                {
                    "hr_dataset.tar.gz": "ca7167334006f3c17f9071f14c435335",
                    "lr_dataset_l1c.tar.gz": "d2dcafa207b1e1bc6c754607f15e9ed6",
                    "lr_dataset_l2a.tar.gz": "8cfc6a477cee9e9cd8b20ea27227de65",
                    "metadata.csv": "dfeb3348e79b719bf03c230d5d258839",
                    SPLIT_FILE: "745035835d835280aa0298a9dc1996d1",
                }
            ),
            default=("metadata.csv", SPLIT_FILE, "hr_dataset.tar.gz", "lr_dataset_l2a.tar.gz"),
            gigabytes=107,
        ),
    ),
    layout=(
        "metadata.csv\n"
        f"{SPLIT_FILE}\n"
        "hr_dataset/TILE/TILE_ps.tiff, TILE_rgbn.tiff, TILE_pan.tiff, TILE_rgb.png\n"
        "lr_dataset/TILE/L2A/TILE-N-L2A_data.tiff, TILE-N-CLM.tiff, TILE-N.metadata\n"
        "lr_dataset/TILE/L1C/… likewise, if asked for"
    ),
    page="docs/datasets/worldstrat.md",
    read=read_worldstrat,
    is_there=is_worldstrat,
    parts="tiles",
    as_published=lambda folder, split: read_worldstrat(folder, split, grouped=False),
    faults=worldstrat_faults,
)

BREIZHSR = Known(
    name="breizhsr",
    title="BreizhSR",
    summary="Sentinel-2 series (clear dates of 2018, 10 m) with SPOT-6 (2.5 m); Brittany",
    kind=REAL,
    scale="4",
    licence=Licence(
        "not verified: read the record",
        "https://zenodo.org/records/11551220",
        "not stated",
        "The reference is SPOT-6, which is commercial imagery.",
    ),
    cite=(
        "A. Okabayashi, N. Audebert, S. Donike, C. Pelletier (2024). Cross-sensor super-resolution "
        "of irregularly sampled Sentinel-2 time series. EarthVision, CVPR workshops. "
        "arXiv:2404.16409. Data: doi 10.5281/zenodo.11551220"
    ),
    home="https://zenodo.org/records/11551220",
    records=(Record("1", "zenodo", "11551220", "https://zenodo.org/records/11551220"),),
    layout=(
        "dataset_train.pkl, dataset_test.pkl\n…/….tif, the images that the tables' columns name"
    ),
    page="docs/datasets/breizhsr.md",
    read=read_breizhsr,
    is_there=is_breizhsr,
)

SEN2VENUS = Known(
    name="sen2venus",
    title="Sen2Venµs",
    summary="Sentinel-2 (one date, 10 or 20 m) with VENµS (5 m) of the same day; 29 sites",
    kind=PUBLISHED,
    scale="2 or 4",
    licence=Licence(
        "VENµS images: CC BY-NC 4.0; Sentinel-2 images: Etalab Open Licence 2.0",
        CC_BY_NC,
        "non-commercial",
        "As users of the record report; the record's own file LICENCE binds, and is fetched too.",
    ),
    cite=(
        "J. Michel, J. Vinasco-Salinas, J. Inglada, O. Hagolle (2022). SEN2VENµS, a Dataset for "
        "the Training of Sentinel-2 Super-Resolution Algorithms. Data 7, 96. "
        "doi 10.3390/data7070096. Data: doi 10.5281/zenodo.6514159"
    ),
    home="https://zenodo.org/records/6514159",
    records=(
        Record(
            edition="1",
            host="zenodo",
            identifier="6514159",
            page="https://zenodo.org/records/6514159",
            # As a published reader of the data set states them.
            md5=MappingProxyType(
                {
                    "ALSACE.7z": "ecbf57fc83a8c8ca47ab421642bbef57",
                    "ANJI.7z": "2b6521e2fd43fc220557d1a171f94c06",
                    "ARM.7z": "9c264cd01640707f483f78a88c1a40c8",
                    "ATTO.7z": "c6d7905816f8c807e5a87f4a2d09a4ae",
                    "BAMBENW2.7z": "f804161f30c295dab1172e904ecb38be",
                    "BENGA.7z": "a3bdc8fd5ac049b2d07b308fc1f0706a",
                    "ES-IC3XG.7z": "e7a19cd51f048a006688f6b2ea795d55",
                    "ES-LTERA.7z": "226cd7c10689f9aad92c760d9c1899fe",
                    "ESGISB-1.7z": "ab1c0e9a70c566d6fe8b94ba421a15d6",
                    "ESGISB-2.7z": "20196e6e963170e641fc805330077434",
                    "ESGISB-3.7z": "ac42ab2ddb89975b55395ace90ecc0a6",
                    "ESTUAMAR.7z": "2b540369499c7b9882f7e195699e9438",
                    "FGMANAUS.7z": "06d422d9f4ba0c2ed1087c2a7f0339c5",
                    "FR-BIL.7z": "c4305e091b61de5583842f71b4122ed3",
                    "FR-LAM.7z": "1bceb23259d7f101ee0e1df141b5e550",
                    "FR-LQ1.7z": "535489d0d3bc23e8e7646a20b99575e6",
                    "JAM2018.7z": "2e2a6de2b5842ce86d074ebd8c68354b",
                    "K34-AMAZ.7z": "7abf9ef3f89bd30b905c0029169b88d1",
                    "KUDALIAR.7z": "1427c8a4bc1e238c5c63e434fd6d31c6",
                    "LERIDA-1.7z": "d507dcbc1b92676410df9e4f650ea23b",
                    "MAD-AMBO.7z": "49e43cd47ecdc5360c83e448eaf73fbb",
                    "NARYN.7z": "56474220d0014e53aa0c96ea93c03bc9",
                    "SO1.7z": "62b5ce44dc641639079c15227cdbd794",
                    "SO2.7z": "59afd969b950f90df0f8ce8b1dbccd62",
                    "SUDOUE-2.7z": "5aed36a3d5e9746e5f5c438d10fae413",
                    "SUDOUE-3.7z": "0eeb556caaae171b8fbd0696f4757308",
                    "SUDOUE-4.7z": "aac762b62ac240720d34d5bb3fc4a906",
                    "SUDOUE-5.7z": "69042546af7bd25a0398b04c2ce60057",
                    "SUDOUE-6.7z": "ca143d2a2a56db30ab82c33420433e01",
                }
            ),
        ),
        Record(
            edition="2",
            host="zenodo",
            identifier="14603764",
            page="https://zenodo.org/records/14603764",
            gigabytes=139.5,
        ),
    ),
    layout=(
        "SITE/index.csv\n"
        "edition 1: SITE/SITE_TILE_DATE_10m_b2b3b4b8.pt and 05m, 20m: tensors of patches\n"
        "edition 2: SITE/SITE_DATE_TILE_b2b3b4b8_10m.zip and others, which are read as they are"
    ),
    page="docs/datasets/sen2venus.md",
    read=read_sen2venus,
    is_there=is_sen2venus,
    parts="archives",
)

PROBAV = Known(
    name="probav",
    title="PROBA-V",
    summary="PROBA-V (9 undated images or more, 300 m) with one of 100 m; 1450 sets of 74 regions",
    kind=PUBLISHED,
    scale="3",
    licence=Licence(
        "none found",
        "https://kelvins.esa.int/proba-v-super-resolution/data",
        "not stated",
        "The set was given out for ESA's challenge; its page states no licence.",
    ),
    cite=(
        "M. Märtens, D. Izzo, A. Krzic, D. Cox (2019). Super-resolution of PROBA-V images using "
        "convolutional neural networks. Astrodynamics 3, 387–402. arXiv:1907.01821"
    ),
    home="https://kelvins.esa.int/proba-v-super-resolution/",
    records=(
        Record(
            edition="1",
            host="direct",
            identifier="/media/competitions/proba-v-super-resolution/probav_data.zip",
            page="https://kelvins.esa.int/proba-v-super-resolution/data",
        ),
    ),
    layout=(
        "train/RED/imgset0000/LR000.png, QM000.png, …, HR.png, SM.png; train/NIR/…\n"
        "test/RED, test/NIR: the same without HR.png\n"
        "norm.csv"
    ),
    page="docs/datasets/probav.md",
    read=read_probav,
    is_there=is_probav,
    expansion=1.5,
)

MUS2 = Known(
    name="mus2",
    title="MuS2",
    summary="Sentinel-2 series (14 or 15 dates, 10 m) with WorldView-2 (3.3 m); 91 scenes",
    kind=REAL,
    scale="3",
    licence=Licence(
        "CC0 1.0",
        "https://creativecommons.org/publicdomain/zero/1.0/",
        "any use",
        "No splits and 91 scenes: it was made to measure with.",
    ),
    cite=(
        "P. Kowaleczko, T. Tarasiewicz, M. Ziaja, D. Kostrzewa, J. Nalepa, P. Rokita, M. Kawulok "
        "(2023). A real-world benchmark for Sentinel-2 multi-image super-resolution. Scientific "
        "Data 10, 644. doi 10.1038/s41597-023-02538-9. Data: doi 10.7910/DVN/1JMRAT"
    ),
    home="https://doi.org/10.7910/DVN/1JMRAT",
    records=(
        Record(
            edition="2.0",
            host="dataverse",
            identifier="doi:10.7910/DVN/1JMRAT",
            page="https://doi.org/10.7910/DVN/1JMRAT",
            gigabytes=3.1,
        ),
    ),
    layout=(
        "SCENE/b2/lrs/S2A_MSIL2A_20200909T105031_….jp2, and b3, b4, b8 …\n"
        "SCENE/CLD/20m/…, SCENE/hr_resized/mul_band_0.tiff … 7\n"
        "masks/final_masks/final_masks_b2/mask_SCENE.png: white is not to be scored"
    ),
    page="docs/datasets/mus2.md",
    read=read_mus2,
    is_there=is_mus2,
    expansion=1.5,
)

ALSAT2B = Known(
    name="alsat2b",
    title="Alsat-2B",
    summary="Alsat-2B (one date, 8-bit colours, 10 m) with its sharpened images (2.5 m); Algeria",
    kind=PUBLISHED,
    scale="4",
    licence=Licence(
        "none stated",
        "https://github.com/achrafdjerida/Alsat-2B",
        "not stated",
        "Train and measure, but pass on neither the images nor weights that were trained on them.",
    ),
    cite=(
        "A. Djerida et al. (2021). Alsat-2B: a new dataset for deep learning single image "
        "super-resolution. IGARSS. arXiv:2103.12547"
    ),
    home="https://github.com/achrafdjerida/Alsat-2B",
    records=(Record("1", "by hand", "Alsat-2B", "https://github.com/achrafdjerida/Alsat-2B"),),
    layout=(
        "Train/LR/LR_0.jpg …, Train/HR/HR_0.jpg …\n"
        "Test/Agriculture/LR/LR_0.jpg … and so on; Test/Urban"
    ),
    page="docs/datasets/archives.md",
    read=_read_alsat2b,
    is_there=is_alsat2b,
)


def _is_vorarlberg(folder: Path) -> bool:
    return all((folder / part).is_file() for part in ("0/s2.tif", "0/orthophoto.tif"))


def _is_flanders(folder: Path) -> bool:
    return any(folder.glob("L8_SR_10m_*.nc")) and any(folder.glob("S2_L2A_10m_*.nc"))


def _without_splits(pairs: Sequence[Pair], split: str | None) -> list[Source]:
    if split is not None:
        raise InputError(f"there is no split {split} here; ask for none")
    return [at_hand(pair) for pair in pairs]


def _read_vorarlberg(folder: Path, split: str | None) -> list[Source]:
    if not _is_vorarlberg(folder):
        raise InputError(f"{folder} should hold 0/s2.tif and 0/orthophoto.tif, and so for 2 and 3")
    return _without_splits(real_pairs(folder), split)


def _read_flanders(folder: Path, split: str | None) -> list[Source]:
    return _without_splits(landsat_pairs(folder), split)


VORARLBERG = Known(
    name="vorarlberg",
    title="Vorarlberg",
    summary="Sentinel-2 (one date, 10 m) with aerial orthophotos (2.5 m); three tiles, one valley",
    kind=REAL,
    scale="4",
    licence=Licence(
        "orthophotos: CC BY 4.0; Sentinel-2 images: free and open",
        "https://creativecommons.org/licenses/by/4.0/",
        "any use",
        "Credit BEV / basemap.at, and say: contains modified Copernicus Sentinel data.",
    ),
    cite="Orthophotos: BEV / basemap.at. Contains modified Copernicus Sentinel data 2023",
    home="https://basemap.at",
    records=(Record("1", "by hand", "basemap", "https://basemap.at"),),
    layout="0/s2.tif, 0/orthophoto.tif; 2/…, 3/…",
    page="docs/datasets/archives.md",
    read=_read_vorarlberg,
    is_there=_is_vorarlberg,
)

FLANDERS = Known(
    name="flanders",
    title="Flanders",
    summary="Landsat-8 series (26 dates, 30 m) with Sentinel-2 (10 m); one patch of fields",
    kind=LANDSAT,
    scale="3",
    licence=Licence(
        "Landsat-8 images: public domain; Sentinel-2 images: free and open",
        None,
        "any use",
        "Say: Landsat-8 image courtesy of the U.S. Geological Survey; contains modified Copernicus "
        "Sentinel data.",
    ),
    cite="Landsat-8: U.S. Geological Survey. Contains modified Copernicus Sentinel data 2017–2018",
    home="https://www.usgs.gov/landsat-missions",
    records=(Record("1", "by hand", "cubes", "https://www.usgs.gov/landsat-missions"),),
    layout="S2_L2A_10m_….nc, S2_L2A_20m_….nc, L8_SR_10m_….nc: one cube a sensor and pixel",
    page="docs/datasets/archives.md",
    read=_read_flanders,
    is_there=_is_flanders,
)

DATASETS: Mapping[str, Known] = MappingProxyType(
    {
        each.name: each
        for each in (WORLDSTRAT, BREIZHSR, SEN2VENUS, PROBAV, MUS2, ALSAT2B, VORARLBERG, FLANDERS)
    }
)
"""By the names that commands take."""
