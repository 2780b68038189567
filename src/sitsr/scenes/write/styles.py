"""How QGIS is to show a raster at once: NAME.qml beside NAME.tif, which it finds by itself.

Values are those that QGIS shows, with the scale of the file applied. Natural colour is that of the
pictures of the report, so that they and two products can be compared; its bend is QGIS's gamma,
which QGIS has since 3.16: older ones show the stretch without it.

The format is told nowhere but by QGIS's source: what each class of src/core/raster reads.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from sitsr.scenes.write.pictures import BRIGHTEST, EXPONENT, NATURAL
from sitsr.scenes.write.rasters import Raster

HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"

Ramp = tuple[tuple[float, str], ...]
"""Values with their colours; between them it is blended."""

RAMPS: dict[str, Ramp] = {
    "uncertainty": (
        (0.0, "#000004"),
        (0.01, "#51127c"),
        (0.02, "#b73779"),
        (0.04, "#fc8961"),
        (0.08, "#fcfdbf"),
    ),
    "clear_count": (
        (0, "#440154"),
        (5, "#3b528b"),
        (10, "#21918c"),
        (20, "#5ec962"),
        (40, "#fde725"),
    ),
    "nearest_days": (
        (-60, "#2166ac"),
        (-10, "#92c5de"),
        (0, "#f7f7f7"),
        (10, "#f4a582"),
        (60, "#b2182b"),
    ),
}
"""Of each raster that is one number a pixel."""


def write_style(raster: Raster, folder: Path) -> None:
    """Write folder / NAME.qml for a raster of the product."""
    path = (folder / raster.href).with_suffix(".qml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(style(raster), encoding="utf-8")


def style(raster: Raster) -> str:
    """The style of one raster, XML."""
    root = Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = SubElement(root, "pipe")
    name = Path(raster.href).stem
    if raster.classes:
        _classes(pipe, raster)
    elif name in RAMPS:
        _ramp(pipe, RAMPS[name])
    else:
        _natural(pipe, raster.bands)
        bend = {"brightness": "0", "contrast": "0", "gamma": f"{1 / EXPONENT:g}"}
        SubElement(pipe, "brightnesscontrast", bend)
    indent(root)
    return f"{HEAD}{tostring(root, encoding='unicode')}\n"


def _renderer(pipe: Element, kind: str, **attributes: str) -> Element:
    usual = {"type": kind, "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = SubElement(pipe, "rasterrenderer", usual | attributes)
    origin = SubElement(renderer, "minMaxOrigin")  # limits are these, and not those of the pixels
    for name, text in (
        ("limits", "None"),
        ("extent", "WholeRaster"),
        ("statAccuracy", "Estimated"),
    ):
        SubElement(origin, name).text = text
    return renderer


def _natural(pipe: Element, bands: tuple[str, ...]) -> None:
    """Red, green and blue as they are seen, or the first band in gray."""
    if set(NATURAL) <= set(bands):
        places = dict(zip(("red", "green", "blue"), NATURAL, strict=True))
        chosen = {f"{name}Band": f"{bands.index(band) + 1}" for name, band in places.items()}
        renderer = _renderer(pipe, "multibandcolor", **chosen)
        for name in places:
            _stretch(SubElement(renderer, f"{name}ContrastEnhancement"))
        return
    renderer = _renderer(pipe, "singlebandgray", grayBand="1", gradient="BlackToWhite")
    _stretch(SubElement(renderer, "contrastEnhancement"))


def _stretch(parent: Element) -> None:
    SubElement(parent, "minValue").text = "0"
    SubElement(parent, "maxValue").text = f"{BRIGHTEST}"
    SubElement(parent, "algorithm").text = "StretchToMinimumMaximum"


def _ramp(pipe: Element, ramp: Ramp) -> None:
    low, high = f"{ramp[0][0]:g}", f"{ramp[-1][0]:g}"
    limits = {"classificationMin": low, "classificationMax": high}
    renderer = _renderer(pipe, "singlebandpseudocolor", band="1", **limits)
    shader = SubElement(SubElement(renderer, "rastershader"), "colorrampshader")
    shader.attrib |= {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
    shader.attrib |= {"minimumValue": low, "maximumValue": high}  # of the legend
    for value, colour in ramp:
        told = f"{value:g}"
        SubElement(shader, "item", value=told, label=told, color=colour, alpha="255")


def _classes(pipe: Element, raster: Raster) -> None:
    palette = SubElement(_renderer(pipe, "paletted", band="1"), "colorPalette")
    for number, (name, colour) in enumerate(raster.classes):
        told = "#{:02x}{:02x}{:02x}".format(*colour)
        SubElement(palette, "paletteEntry", value=f"{number}", label=name, color=told, alpha="255")
