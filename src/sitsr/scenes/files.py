"""Windows of files, near or far: opened once, read by several threads, tried again when it fails.

A file stays open while its scene is read, so that GDAL keeps what it has decoded and fetched, and
no block of it is fetched twice. Each file is read by one thread at a time, several files at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from sitsr.scenes.environment import gdal_environment, is_remote, open_raster
from sitsr.scenes.frames import Cover, Frame
from sitsr.scenes.units import Raw, where_seen
from sitsr.scenes.warp import enlarge, nearest
from sitsr.tiles import Tile

OPEN = 400
"""Files that are kept open at once."""
WAIT = 1.0
"""Seconds before a far file is opened anew and read again; what GDAL itself tries again is less."""
NEAR = 1
"""Pixels of a coarser raster that are read around what is wanted."""

Answer = TypeVar("Answer")


class Files:
    """The pixels of frames whose bands are files; ``load`` is what a scene is read with."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[Any, Lock]] = OrderedDict()
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Files], tuple[()]]:
        return Files, ()  # another process opens its own

    def close(self) -> None:
        """Let go of all that is open; what is read later is opened anew."""
        with self._lock:
            self._open.clear()

    def image(self, frame: Frame, window: Tile) -> Raw:
        """[C, h, w] digital numbers of a window of the frame's grid."""
        planes: dict[int, Raw] = {}
        for path, numbers in groupby(range(len(frame.bands)), key=lambda i: frame.paths[i]):
            chosen = list(numbers)
            indexes = [frame.indexes[i] for i in chosen]
            read = self._try(path, partial(_bands, indexes=indexes, frame=frame, window=window))
            planes |= dict(zip(chosen, read, strict=True))
        return np.stack([planes[i] for i in range(len(frame.bands))])

    def layer(self, cover: Cover, frame: Frame, window: Tile) -> Raw:
        """[h, w] values of a mask under a window of the frame's grid, the nearest of each."""

        def read(file: Any) -> Raw:
            grid = cut(frame.grid, window)
            whole = _grid(file, frame)
            around = under(grid, whole, NEAR)
            if around is None:
                return np.zeros(grid.shape, file.dtypes[cover.index - 1])
            values = file.read(cover.index, window=_window(around))
            return nearest(values, cut(whole, around), grid)

        return self._try(cover.file, read)

    def _try(self, path: str, read: Callable[[Any], Answer]) -> Answer:
        """What a function reads of an open file; a far file is opened anew once."""
        with rasterio.Env(**gdal_environment(path)):
            try:
                with self._held(path) as file:
                    return read(file)
            except RasterioIOError:
                self._drop(path)  # what is open may be what is broken
                if not is_remote(path):
                    raise
            time.sleep(WAIT)
            with self._held(path) as file:
                return read(file)

    @contextmanager
    def _held(self, path: str) -> Iterator[Any]:
        with self._lock:
            if path not in self._open:
                self._open[path] = open_raster(path), Lock()
            self._open.move_to_end(path)
            file, lock = self._open[path]
            while len(self._open) > OPEN:
                self._open.popitem(last=False)  # closed when its last reader lets go of it
        with lock:
            yield file

    def _drop(self, path: str) -> None:
        with self._lock:
            self._open.pop(path, None)


def _bands(file: Any, indexes: list[int], frame: Frame, window: Tile) -> Raw:
    """[C, h, w] of some bands of one file, enlarged where its grid is coarser than the frame's."""
    whole = _grid(file, frame)
    if tuple(whole.shape) == tuple(frame.grid.shape):
        return np.asarray(file.read(indexes, window=_window(window)))
    grid = cut(frame.grid, window)
    around = under(grid, whole, NEAR + 2)
    if around is None:
        return np.zeros((len(indexes), *grid.shape), np.float32)
    values = np.asarray(file.read(indexes, window=_window(around)))
    seen = where_seen(values, frame.nodata)
    return enlarge(values, seen, cut(whole, around), grid, frame.nodata or 0.0)


def _grid(file: Any, frame: Frame) -> GeoBox:
    return GeoBox((file.height, file.width), file.transform, file.crs or frame.grid.crs)


def _window(tile: Tile) -> Any:
    return Window.from_slices(*tile.window())


def cut(grid: GeoBox, window: Tile) -> GeoBox:
    """Part of a grid."""
    part: GeoBox = grid[window.window()]
    return part


def under(grid: GeoBox, source: GeoBox, margin: int) -> Tile | None:
    """The pixels of a source that lie under a grid, and margin more on each side; None if none."""
    box = transform_bounds(str(grid.crs), str(source.crs), *grid.boundingbox.bbox)
    into = ~source.transform
    corners = [into * (x, y) for x in box[::2] for y in box[1::2]]
    cols, rows = zip(*corners, strict=True)
    tile = Tile(
        max(int(np.floor(min(rows) + 1e-6)) - margin, 0),
        max(int(np.floor(min(cols) + 1e-6)) - margin, 0),
        min(int(np.ceil(max(rows) - 1e-6)) + margin, source.shape[0]),
        min(int(np.ceil(max(cols) - 1e-6)) + margin, source.shape[1]),
    )
    return tile if tile.top < tile.bottom and tile.left < tile.right else None
