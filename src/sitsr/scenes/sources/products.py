"""A product's files by name, in a folder or in a zip that is read where it lies, and its metadata.

What comes from elsewhere is not trusted. Names that lead out of the product, metadata larger than
any, and documents that declare a type (and with it entities) are refused.
"""

from __future__ import annotations

import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning

from sitsr.scenes.environment import open_raster
from sitsr.series import InputError

LARGEST = 2**24
"""Bytes of a metadata document. Those of real granules have under half a million."""
MOST = 20_000
"""Files of a product. Real ones have some hundreds."""

Document = ElementTree.Element


@dataclass(frozen=True, slots=True)
class Product:
    """The files of a product."""

    path: Path
    """A folder or a zip."""
    names: tuple[str, ...]
    """Of its files, sorted, below path, with "/" between folders."""

    def address(self, name: str) -> str:
        """A file as GDAL opens it."""
        if self.path.is_dir():
            return str(self.path / name)
        return f"/vsizip/{{{self.path.absolute()}}}/{name}"

    def document(self, name: str) -> Document:
        """A metadata document (XML)."""
        content = self._content(name)
        if len(content) > LARGEST:
            raise InputError(
                f"{name} in {self.path.name} is larger than {LARGEST >> 20} MiB, which no metadata "
                "are; get the product again from a source you trust"
            )
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise InputError(
                f"{name} in {self.path.name} declares a document type, which no metadata of "
                "Sentinel-2 do; get the product again from a source you trust"
            )
        try:
            return ElementTree.fromstring(text)
        except ElementTree.ParseError as broken:
            raise self._broken(f"{name} is no XML: {broken}") from broken

    def _content(self, name: str) -> bytes:
        """The bytes of a small file, and no more than one beyond what is allowed."""
        try:
            if self.path.is_dir():
                with open(self.path / name, "rb") as file:
                    return file.read(LARGEST + 1)
            with zipfile.ZipFile(self.path) as archive:
                if archive.getinfo(name).file_size > LARGEST:
                    return bytes(LARGEST + 1)
                with archive.open(name) as member:
                    return member.read(LARGEST + 1)
        except (
            OSError,
            EOFError,
            RuntimeError,
            ValueError,
            zipfile.BadZipFile,
            zlib.error,
        ) as broken:
            raise self._broken(f"{name}: {broken}") from broken

    def _broken(self, why: str) -> InputError:
        return InputError(f"{self.path.name} is broken or cut short ({why}); get it again")


def open_product(path: Path) -> Product:
    """The files of a folder or a zip, by name."""
    names = _names_in_folder(path) if path.is_dir() else names_in_zip(path)
    return Product(path, tuple(sorted(names)))


def names_in_zip(path: Path) -> list[str]:
    """The names of the files in a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, ValueError, zipfile.BadZipFile) as broken:
        raise InputError(
            f"{path.name} is no zip, or cut short ({broken}); get it again"
        ) from broken
    if len(entries) > MOST:
        raise _too_many(path)
    names = [entry.filename for entry in entries if not entry.is_dir()]
    check_inside(path.name, names)
    return names


def check_inside(holder: str, names: Iterable[str]) -> None:
    """Names of files must not lead out of the folder that they are said to be in."""
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
            raise InputError(
                f"{holder} names {name!r}, which leads out of it; get the product again from a "
                "source you trust"
            )


def _names_in_folder(path: Path) -> list[str]:
    names: list[str] = []
    for folder, _, files in os.walk(path):
        names += [(Path(folder) / file).relative_to(path).as_posix() for file in files]
        if len(names) > MOST:
            raise _too_many(path)
    return names


def _too_many(path: Path) -> InputError:
    return InputError(
        f"{path.name} holds more than {MOST} files; give a product, or a folder of them"
    )


def texts(document: Document, *names: str) -> list[str]:
    """What stands in the elements of these names, in any namespace, in this order of names."""
    found = (each for name in names for each in document.iterfind(f".//{{*}}{name}"))
    return [each.text.strip() for each in found if each.text and each.text.strip()]


def number(document: Document, where: str, *names: str) -> float | None:
    """The first number in an element of these names; where: the document, for messages."""
    for text in texts(document, *names):
        try:
            return float(text)
        except ValueError:
            raise InputError(
                f"{where} states {text[:40]!r} as {names[0]}; wanted a number: get it again"
            ) from None
    return None


def grid_of(name: str, file: Any, assume_crs: Any) -> GeoBox:
    """The grid of an open raster; name: for messages."""
    crs = file.crs or assume_crs
    if not crs:
        raise InputError(
            f"{name} states no coordinate system; give it one, or say which to assume (assume_crs)"
        )
    if file.transform.is_identity:
        raise InputError(f"{name} does not say where it lies; give it a geotransform")
    return GeoBox((file.height, file.width), file.transform, crs)


def grid_at(address: str, assume_crs: Any) -> GeoBox:
    """The grid of a raster, by its header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(address) as file:
            return grid_of(PurePosixPath(address).name, file, assume_crs)
