"""Pairs into a store, block by block."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import BloscCodec, BloscShuffle

from sitsr.datasets.pairs import Pair, Source
from sitsr.datasets.store.layout import FORMAT, FRAMES, MOST, NOTHING, QUANTUM, SIDE
from sitsr.series import Floats, InputError

BLOCK = 32 * 2**20
"""Bytes of pixels after which a block is written."""

Arrays = dict[str, npt.NDArray[Any]]
Progress = Callable[[int, int], object]


def write_store(
    sources: Sequence[Source],
    out: Path,
    progress: Progress = lambda done, total: None,
    *,
    name: str = "",
    licence: str = "",
    made: Mapping[str, Any] | None = None,
    skip_unreadable: bool = False,
) -> Path:
    """Write pairs into a store, which appears when it is whole; stopped, it goes on where it was.

    progress is told (pairs done, pairs in all). name, licence and made, how the pairs were made,
    are noted in the store. skip_unreadable: pairs that cannot be read are left
    out, and named in the attributes of the store. InputError where out is taken, where the folder
    beside it holds part of another store, or the disk is full.
    """
    if not sources:
        raise InputError("there are no pairs to store; choose a split that has some")
    if out.exists():
        raise InputError(f"{out} is there already; remove it, or name another folder")
    aside = out.with_name(f"{out.name}.part")
    asked = _asked(sources, made)
    try:
        lines = _begun(aside, asked)
        for block in _blocks(sources, lines, progress, skip_unreadable):
            lines += _write_block(aside, block, lines)
        stored = [line for line in lines if "block" in line]
        if not stored:
            raise InputError(f"none of {len(sources)} pairs can be read; {lines[0]['left_out']}")
        digest = hashlib.sha256("".join(line["digest"] for line in stored).encode()).hexdigest()
        told: dict[str, Any] = {"format": FORMAT, "name": name, "licence": licence}
        told |= {"digest": digest, "made": dict(made or {})}
        left = [line["left_out"] for line in lines if "left_out" in line]
        zarr.create_group(aside, attributes=told | {"left_out": left, "pairs": stored})
        (aside / "done.jsonl").unlink()
        (aside / "asked").unlink()
    except OSError as error:
        raise InputError(
            f"{aside} cannot be written ({error.strerror}); make room, and run it again to go on"
        ) from error
    aside.replace(out)
    return out


def _asked(sources: Sequence[Source], made: Mapping[str, Any] | None) -> str:
    pairs = [(each.kind, each.site, each.patch, each.split, each.tags) for each in sources]
    told = {"pairs": pairs, "made": dict(made or {})}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _begun(aside: Path, asked: str) -> list[dict[str, Any]]:
    """What an earlier run has done of the same store: one line a pair."""
    if not aside.exists():
        aside.mkdir(parents=True)
        (aside / "asked").write_text(asked)
    stated = aside / "asked"
    if not stated.is_file() or stated.read_text() != asked:
        raise InputError(f"{aside} holds part of another store; remove it, or name another folder")
    done = aside / "done.jsonl"
    lines = done.read_text().splitlines() if done.exists() else []
    return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class _Block:
    """Pairs of one shape, neighbours in the list, and those among them that cannot be read."""

    pairs: tuple[tuple[Source, Pair], ...]
    left_out: tuple[str, ...]


def _blocks(
    sources: Sequence[Source], lines: list[dict[str, Any]], progress: Progress, skip: bool
) -> Iterator[_Block]:
    """What is not done yet, gathered until the shape changes or there is enough of it."""
    gathered: list[tuple[Source, Pair]] = []
    left_out: list[str] = []
    first = len(lines)
    progress(first, len(sources))
    for done, source in enumerate(sources[first:], first + 1):
        try:
            pair = source.load()
        except InputError as error:
            if not skip:
                raise
            left_out.append(f"{source.site}, {source.patch}: {error}")
            continue
        if gathered and (
            _shape(pair) != _shape(gathered[0][1]) or len(gathered) * _size(pair) > BLOCK
        ):
            yield _Block(tuple(gathered), tuple(left_out))
            gathered, left_out = [], []
        gathered.append((source, pair))
        progress(done, len(sources))
    yield _Block(tuple(gathered), tuple(left_out))


def _shape(pair: Pair) -> tuple[object, ...]:
    return (pair.series.images.shape, pair.reference.shape, pair.series.bands)


def _size(pair: Pair) -> int:
    return 2 * (pair.series.images.size + pair.reference.size)


def _write_block(
    aside: Path, block: _Block, lines: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = [{"left_out": each} for each in block.left_out]
    if block.pairs:
        number = sum(line.get("place") == 0 for line in lines)
        folder = aside / str(number)
        shutil.rmtree(folder, ignore_errors=True)  # half of it may be there
        pairs = [pair for _, pair in block.pairs]
        arrays = [_packed(pair) for pair in pairs]
        made = zarr.create_group(folder)
        factor = 1 if pairs[0].at_sensor else pairs[0].scale
        for name, side in (("images", SIDE), ("clear", SIDE), ("reference", factor * SIDE)):
            _write_array(made, name, np.stack([each[name] for each in arrays]), side)
        for place, ((source, pair), packed) in enumerate(zip(block.pairs, arrays, strict=True)):
            digest = hashlib.sha256(b"".join(each.tobytes() for each in packed.values()))
            line = {"block": number, "place": place, "digest": digest.hexdigest()}
            told.append(line | _told(source, pair))
    with (aside / "done.jsonl").open("a") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in told)
        file.flush()
        os.fsync(file.fileno())
    return told


def _packed(pair: Pair) -> Arrays:
    series = pair.series
    clear = series.clear & (np.abs(series.images) <= MOST).all(1)
    known = pair.clear & (np.abs(pair.reference) <= MOST).all(0)
    reference = np.where(known, _counted(np.where(known, pair.reference, 0)), NOTHING)
    return {"images": _counted(series.images), "clear": clear, "reference": reference}


def _counted(image: Floats) -> npt.NDArray[np.int16]:
    return np.round(np.clip(image, -MOST, MOST) / QUANTUM).astype(np.int16)


def _told(source: Source, pair: Pair) -> dict[str, Any]:
    series = pair.series
    return {
        **{"kind": pair.kind, "site": pair.site, "patch": pair.patch, "split": source.split},
        **{"target": str(pair.target), "scale": pair.scale, "sensor_sigma": pair.sensor_sigma},
        **{"dates": [str(day) for day in series.dates], "bands": series.bands},
        **{"crs": str(series.grid.crs), "transform": tuple(series.grid.transform)[:6]},
        **{"shape": series.clear.shape[1:], "at_sensor": pair.at_sensor},
        **{"sources": series.sources, "history": series.history},
        **{"bounds": source.bounds, "tags": dict(source.tags)},
    }


def _write_array(block: zarr.Group, name: str, array: npt.NDArray[Any], side: int) -> None:
    """An array whose last two axes are rows and columns, in one shard of squares."""
    inner = [1, *array.shape[1:-2], side, side]
    if name != "reference":
        inner[1] = min(FRAMES, array.shape[1])
    block.create_array(
        name,
        data=array,
        chunks=tuple(inner),
        shards=tuple(-(-n // chunk) * chunk for n, chunk in zip(array.shape, inner, strict=True)),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle=BloscShuffle.shuffle),
    )
