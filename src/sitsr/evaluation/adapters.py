"""Systems from outside: a function, an ONNX file, or predictions on disk.

    my.module:function     called with images [T, C, H, W] (reflectance), clear [T, H, W] (bool) and
    path/file.py:function  days [T] (acquisition minus target), or with the images alone where it
                           takes no more; a parameter named seed is given the seed
    model.onnx             inputs named images, clear and days, each with a batch axis in front; or
                           one input, [B, C, H, W] (the nearest clear image) or [B, T, C, H, W]
    FOLDER                 GeoTIFFs as ``sitsr.datasets.predictions`` lays them out

All give a mean [C, scale·H, scale·W], and samples [M, C, scale·H, scale·W] if they have any; an
ONNX file with a batch axis in front of each.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sitsr.baselines import nearest
from sitsr.datasets.predictions import read_prediction
from sitsr.evaluation.scoring import Estimate, System
from sitsr.series import Floats, InputError

if TYPE_CHECKING:
    from sitsr.datasets import Task

USUAL = (-0.5, 2.0)
"""Reflectance between which the middle of any image of land or cloud lies."""


def outside(text: str, scale: int, bands: Sequence[str]) -> tuple[str, System, str]:
    """The name, the system and the version of "[NAME=]SPEC"; the specs stand above.

    Without a name a function, an ONNX file and a folder go by their own. The version is a hash of
    the file, of the module's source, or of all files of the folder. scale and bands are those of
    the pairs: an ONNX file that states others is refused. InputError where the spec leads nowhere.
    """
    given, equals, spec = ("", "", text) if Path(text).exists() else _named(text)
    if not spec or (equals and not given):
        raise InputError(f'"{text}" is not a system; write NAME=SPEC, or SPEC alone')
    path = Path(spec)
    if path.is_dir():
        return _from_folder(given or path.resolve().name, path)
    if path.suffix == ".onnx":
        return _from_onnx(given or path.stem, path, scale, bands)
    if ":" in spec:
        return _from_function(given or spec.rpartition(":")[2], spec)
    raise InputError(
        f"{spec} is no system from outside; give my.module:function, path/file.py:function, "
        "model.onnx or a folder of predictions that is there"
    )


def checked(name: str, task: Task, estimate: Estimate) -> Estimate:
    """The estimate, once its shape and its units are right.

    InputError where it is not scale times the rows and columns, has other bands, holds no number at
    all, or where its median is not that of reflectance.
    """
    rows, cols = task.series.grid.shape
    wanted = (len(task.series.bands), task.scale * rows, task.scale * cols)
    if estimate.mean.shape != wanted:
        raise _refused(
            name,
            task,
            f"gave {list(estimate.mean.shape)}; wanted {list(wanted)}: {wanted[0]} bands, "
            f"{task.scale} times the {rows} × {cols} pixels of the series",
        )
    # One member stands for all: they share their units.
    for image in (estimate.mean, *estimate.samples[:1]):
        known = image[np.isfinite(image)]
        if not known.size:
            raise _refused(name, task, "gave nothing but NaN; wanted reflectance")
        middle = float(np.median(known))
        if not USUAL[0] <= middle <= USUAL[1]:
            raise _refused(
                name,
                task,
                f"gave a median of {middle:.4g}; wanted reflectance, 0 to 1: divide by 10000 if "
                "these are digital numbers",
            )
    return estimate


def _named(text: str) -> tuple[str, str, str]:
    given, equals, spec = text.partition("=")
    return (given.strip(), equals, spec.strip()) if equals else ("", "", text)


def _refused(name: str, task: Task, why: str) -> InputError:
    return InputError(f"{name}, {task.patch} of {task.site} ({task.kind}): {why}")


@contextmanager
def _answering(name: str, task: Task) -> Iterator[None]:
    """Whatever foreign code raises becomes one line that says where."""
    try:
        yield
    except Exception as error:
        raise _refused(name, task, _in_one_line(error)) from error


def _in_one_line(error: Exception) -> str:
    first, *_ = str(error).strip().splitlines() or [""]
    return first if isinstance(error, InputError) else f"{type(error).__name__}: {first}"


def _version(*paths: Path) -> str:
    """Twelve digits of the SHA-256 of files, one after the other."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]


def _estimate(mean: Any, samples: Any = None, *more: Any) -> Estimate:
    if more:
        raise InputError(f"gave {2 + len(more)} things; wanted a mean, or a mean and samples")
    image = _array(mean)
    return Estimate(
        image, np.empty((0, *image.shape), np.float32) if samples is None else _array(samples)
    )


def _array(value: Any) -> Floats:
    if hasattr(value, "detach"):  # a tensor of torch, perhaps on another device
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.number):
        raise InputError(f"gave a {type(value).__name__}; wanted an image [C, scale·H, scale·W]")
    return array.astype(np.float32)


# ------------------------------------------------------------- a folder of predictions


def _from_folder(name: str, folder: Path) -> tuple[str, System, str]:
    paths = sorted(path for path in folder.rglob("*.tif") if not path.name.startswith("."))
    if not paths:
        raise InputError(f"{folder} holds no GeoTIFF; give a folder of predictions")

    def system(task: Task, seed: int) -> Estimate:
        with _answering(name, task):
            return Estimate(*read_prediction(folder, task))

    return name, system, _version(*paths)


# ------------------------------------------------------------- a function


def _from_function(name: str, spec: str) -> tuple[str, System, str]:
    function, version = _function(spec)
    count, seeded = _signature(spec, function)

    def system(task: Task, seed: int) -> Estimate:
        series = task.series
        # Copies, so that no system changes what the next one sees.
        given = (series.images.copy(), series.clear.copy(), series.days_from(task.target))
        with _answering(name, task):
            made = function(*given[:count], **({"seed": seed} if seeded else {}))
            if isinstance(made, Estimate):
                return made
            return _estimate(*made) if isinstance(made, tuple) else _estimate(made)

    return name, system, version


def _function(spec: str) -> tuple[Callable[..., Any], str]:
    place, _, attribute = spec.rpartition(":")
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else _imported(place)
    except Exception as error:
        raise InputError(f"{spec} cannot be imported: {_in_one_line(error)}") from error
    try:
        function = attrgetter(attribute)(module)
    except AttributeError:
        raise InputError(f"{place} has no {attribute}; give a function that is in it") from None
    if not callable(function):
        raise InputError(f"{spec} is a {type(function).__name__}; give a function")
    if source := getattr(module, "__file__", None):
        return function, _version(Path(source))
    return function, str(getattr(module, "__version__", "unknown"))


def _imported(name: str) -> Any:
    _beside(Path.cwd())
    return importlib.import_module(name)


def _from_file(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    _beside(path.resolve().parent)
    name = f"sitsr_outside_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module  # dataclasses and pickles look their module up here
    found.loader.exec_module(module)
    return module


def _beside(folder: Path) -> None:
    """Let a module import its neighbours; last, so that they hide nothing."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _signature(spec: str, function: Callable[..., Any]) -> tuple[int, bool]:
    """How many of images, clear, days it takes, and whether a seed."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # built-in functions need not have one
        return 3, False
    seed = {"seed": 0} if "seed" in signature.parameters else {}
    for count in (3, 1):
        try:
            signature.bind(*range(count), **seed)
        except TypeError:
            continue
        return count, bool(seed)
    raise InputError(
        f"{spec} takes {signature}; wanted (images, clear, days) or (images), and seed if it draws"
    )


# ------------------------------------------------------------- an ONNX file

KINDS: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def _from_onnx(name: str, path: Path, scale: int, bands: Sequence[str]) -> tuple[str, System, str]:
    session = _session(path)
    inputs = {each.name: each for each in session.get_inputs()}
    images = _images_among(path, inputs)
    _check_sides(path, inputs[images].shape, session.get_outputs()[0].shape, scale, bands)

    def system(task: Task, seed: int) -> Estimate:
        series = task.series
        with _answering(name, task):
            known = {"clear": series.clear, "days": series.days_from(task.target)}
            whole = len(inputs[images].shape) == 5
            known[images] = series.images if whole else nearest(series, task.target)
            feed = {each: _fitted(told, known[each]) for each, told in inputs.items()}
            mean, *others = session.run(None, feed)
            samples = [each[0] for each in others[:1] if each.ndim == 5]
            return _estimate(mean[0] if mean.ndim == 4 else mean, *samples)

    # Large weights lie in files beside, such as model.onnx.data.
    return name, system, _version(*sorted(path.parent.glob(f"{escape(path.name)}*")))


def _session(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} does not exist; give an ONNX file")
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f'{path} needs onnxruntime; pip install "sitsr[onnx]"') from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # sums in one order: the same image every time
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise InputError(f"{path} cannot be read as ONNX: {_in_one_line(error)}") from error


def _images_among(path: Path, inputs: Mapping[str, Any]) -> str:
    """Which of the inputs the images are; the others must go by their names."""
    names = list(inputs)
    images = "images" if "images" in names or len(names) != 1 else names[0]
    if not set(names) <= {images, "clear", "days"} or images not in names:
        raise InputError(
            f"{path} has the inputs {', '.join(names) or 'none'}; name them images, clear, days"
        )
    if len(inputs[images].shape) not in (4, 5):
        raise InputError(
            f"{path} takes {images} of {len(inputs[images].shape)} axes; wanted [B, C, H, W] or "
            "[B, T, C, H, W]"
        )
    if strange := [each.type for each in inputs.values() if each.type not in KINDS]:
        raise InputError(f"{path} takes {', '.join(strange)}; wanted {', '.join(KINDS)}")
    return images


Sides = Sequence[int | str | None]
"""Lengths of axes; a name, or None, where the model leaves them free."""


def _check_sides(path: Path, images: Sides, mean: Sides, scale: int, bands: Sequence[str]) -> None:
    """Refuse a model of another scale or with other bands, as far as it tells."""
    for verb, sides in (("takes", images), ("gives", mean[-3:])):
        channels = sides[-3] if len(sides) > 2 else None
        if isinstance(channels, int) and channels != len(bands):
            raise InputError(
                f"{path} {verb} {channels} bands, but the pairs have {len(bands)} "
                f"({', '.join(bands)})"
            )
    for coarse, fine in zip(images[-2:], mean[-2:], strict=False):
        if isinstance(coarse, int) and isinstance(fine, int) and fine != scale * coarse:
            raise InputError(f"{path} makes {fine} pixels of {coarse}, but the scale is {scale}")


def _fitted(told: Any, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array with a batch axis in front, of the type and size that an input asks for."""
    batch = array[None]
    free = [isinstance(side, int) and side for side in told.shape]
    if [side or got for side, got in zip(free, batch.shape, strict=False)] != list(batch.shape):
        raise InputError(
            f"its input {told.name} is {_sides(told.shape)}, but the pair gives "
            f"{_sides(batch.shape)}; export the model with free axes"
        )
    return batch.astype(KINDS[told.type])


def _sides(shape: Sides) -> str:
    return f"[{', '.join(str(side or '?') for side in shape)}]"
