"""A system from outside is given the task and no more, and what it gives back is looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import BANDS, TARGET, landscape, make_series
from sitsr.baselines import bicubic, nearest
from sitsr.datasets.pairs import Task
from sitsr.datasets.predictions import write_prediction
from sitsr.evaluation.adapters import checked, outside
from sitsr.evaluation.scoring import Estimate
from sitsr.series import InputError

B, M, T, C, H, W, SCALE = 1, 2, 5, 4, 9, 14, 3
FINE = (C, SCALE * H, SCALE * W)
SERIES = make_series((H, W))
TASK = Task(SERIES, TARGET, SCALE, "valley", "summer", "real pair")
NONE = np.empty((0, *FINE), np.float32)

MODULE = """
import numpy as np
from dataclasses import dataclass
import neighbour

@dataclass
class Enlarge:
    scale: int
    def __call__(self, image):
        return np.kron(image, np.ones((self.scale, self.scale)))

enlarge = Enlarge(3)
number = 7

def last(images):
    return enlarge(images[-1])

def first(images, strength=2):
    return enlarge(images[0])

def weighted(images, clear=None, days=None):
    assert images.dtype == days.dtype == np.float32 and clear.dtype == bool
    assert images.shape == (5, 4, 9, 14) and clear.shape == (5, 9, 14) and days.shape == (5,)
    weight = clear[:, None] / (1 + abs(days + 6))[:, None, None, None]
    return enlarge((images * weight).sum(0) / weight.sum(0))

def drawn(images, clear, days, *, seed):
    mean = last(images)
    noise = np.random.default_rng(seed).normal(size=(2, *mean.shape))
    return mean, mean + 0.01 * noise

def torchlike(images):
    import torch
    weight = torch.ones((), requires_grad=True)
    return weight * torch.from_numpy(last(images))

def spoils(images, clear, days):
    images[:] = 0
    clear[:] = False
    return np.full((4, 27, 42), neighbour.VALUE)

def digital(images): return 10_000 * last(images)
def silent(images): return np.full((4, 27, 42), np.nan)
def small(images): return images[-1]
def nothing(images): return None
def three(images): return (1, 2, 3)
def single(images): return last(images), last(images)[None]
def fails(images): raise RuntimeError("CUDA is\\nnot there")
def two(images, clear): return last(images)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of functions with a module beside it, in a folder that Python does not know."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour.py").write_text("VALUE = 0.25")
    path = tmp_path / "foreign.py"
    path.write_text(MODULE)
    yield path
    for name in ("neighbour", "foreign"):
        sys.modules.pop(name, None)


def ask(spec: str, seed: int = 0) -> Estimate:
    name, system, _ = outside(spec, SCALE, BANDS)
    return checked(name, TASK, system(TASK, seed))


def large(image: Any) -> Any:
    return image.repeat(SCALE, -1).repeat(SCALE, -2)


# ------------------------------------------------------------- functions


def test_a_function_is_given_images_clear_and_days(module: Path) -> None:
    weight = SERIES.clear[:, None] / (1 + abs(SERIES.days_from(TARGET) + 6))[:, None, None, None]
    wanted = (SERIES.images * weight).sum(0) / weight.sum(0)
    made = ask(f"{module}:weighted")
    np.testing.assert_allclose(made.mean, large(wanted), rtol=1e-5)
    assert made.mean.dtype == np.float32 and made.samples.shape == (0, *FINE)


@pytest.mark.parametrize(("function", "which"), [("last", -1), ("first", 0), ("torchlike", -1)])
def test_a_function_of_one_parameter_is_given_the_images(
    module: Path, function: str, which: int
) -> None:
    made = ask(f"{module}:{function}").mean
    np.testing.assert_array_equal(made, large(SERIES.images[which]))


def test_a_function_that_draws_is_given_the_seed(module: Path) -> None:
    one, again, other = (ask(f"{module}:drawn", seed) for seed in (1, 1, 2))
    assert one.samples.shape == (M, *FINE)
    np.testing.assert_array_equal(one.samples, again.samples)
    assert np.abs(one.samples - other.samples).mean() > 0.005


def test_a_module_of_the_current_folder_is_found(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(module.parent)
    name, _, version = outside("foreign:last", SCALE, BANDS)
    assert (name, version) == ("last", outside(f"mine={module}:last", SCALE, BANDS)[2])
    assert outside(f"mine={module}:enlarge.__call__", SCALE, BANDS)[0] == "mine"


def test_no_system_changes_what_the_next_one_sees(module: Path) -> None:
    images, clear = SERIES.images.copy(), SERIES.clear.copy()
    assert ask(f"{module}:spoils").mean.max() == 0.25
    np.testing.assert_array_equal(SERIES.images, images)
    np.testing.assert_array_equal(SERIES.clear, clear)


def test_the_version_is_that_of_the_contents(module: Path) -> None:
    before = outside(f"{module}:last", SCALE, BANDS)[2]
    assert outside(f"other={module}:last", SCALE, BANDS)[2] == before and len(before) == 12
    module.write_text(MODULE + "# changed\n")
    assert outside(f"{module}:last", SCALE, BANDS)[2] != before


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("digital", "gave a median of .*; wanted reflectance, 0 to 1: divide by 10000"),
        ("silent", "gave nothing but NaN"),
        ("small", r"gave \[4, 9, 14\]; wanted \[4, 27, 42\]: 4 bands, 3 times the 9 × 14 pixels"),
        ("nothing", "gave a NoneType; wanted an image"),
        ("three", "gave 3 things; wanted a mean, or a mean and samples"),
        ("single", "one sample tells nothing of spread"),
        ("fails", "RuntimeError: CUDA is$"),
    ],
)
def test_a_bad_answer_is_one_line_that_names_system_and_patch(
    module: Path, function: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        ask(f"ours={module}:{function}")
    assert str(error.value).startswith("ours, summer of valley (real pair): ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "nowhere is no system from outside; give my.module:function"),
        ("=nowhere", "write NAME=SPEC"),
        ("name=", "write NAME=SPEC"),
        ("", "write NAME=SPEC"),
        ("no.module:function", "cannot be imported: ModuleNotFoundError: No module named 'no'"),
        ("missing.py:function", "missing.py does not exist"),
        ("missing.onnx", "missing.onnx does not exist; give an ONNX file"),
        ("math:none", "math has no none; give a function"),
        ("math:pi", "math:pi is a float; give a function"),
        ("MODULE:two", r"takes \(images, clear\); wanted \(images, clear, days\) or \(images\)"),
    ],
)
def test_a_spec_that_leads_nowhere_is_refused(module: Path, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        outside(spec.replace("MODULE", str(module)), SCALE, BANDS)


def test_the_middle_of_the_samples_is_looked_at_as_well() -> None:
    mean = landscape(FINE)
    fine, wrong = (np.stack([gain * mean] * M) for gain in (1, 10_000))
    assert checked("a", TASK, Estimate(mean, fine)).samples is fine
    with pytest.raises(InputError, match="gave a median"):
        checked("a", TASK, Estimate(mean, wrong))
    holed = mean.copy()
    holed[:, :5] = np.nan
    assert checked("a", TASK, Estimate(holed, NONE)).mean is holed


# ------------------------------------------------------------- ONNX


def save_model(
    path: Path,
    inputs: dict[str, tuple[int, Sequence[int | str]]],
    nodes: Sequence[onnx.NodeProto],
    outputs: dict[str, Sequence[int | str]],
) -> str:
    """A model of these nodes; inputs as {name: (type, shape)}."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, *told) for name, told in inputs.items()],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [
            helper.make_tensor("sizes", TensorProto.FLOAT, [4], [1, 1, SCALE, SCALE]),
            helper.make_tensor("time", TensorProto.INT64, [1], [1]),
            helper.make_tensor("bands", TensorProto.INT64, [1], [2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return str(path)


RESIZE = helper.make_node("Resize", ["x", "", "sizes"], ["mean"], mode="nearest")
FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL
FREE = (1, "bands", "rows", "cols")


def single(path: Path, coarse: Sequence[int | str] = FREE, fine: Sequence[int | str] = FREE) -> str:
    """A model that repeats pixels of one image."""
    return save_model(path, {"x": (FLOAT, coarse)}, [RESIZE], {"mean": fine})


def test_one_input_of_one_image_gets_the_nearest_clear_one(tmp_path: Path) -> None:
    made = ask(single(tmp_path / "m.onnx"))
    wanted = large(nearest(SERIES, TARGET))
    np.testing.assert_array_equal(made.mean, wanted)
    assert made.samples.shape == (0, *FINE)
    assert np.abs(wanted - bicubic(nearest(SERIES, TARGET), SCALE)).max() < 0.1


def test_one_input_of_a_series_gets_the_series(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["stack", "time"], ["x"], keepdims=0), RESIZE]
    shape = (1, "time", C, "rows", "cols")
    path = save_model(tmp_path / "m.onnx", {"stack": (FLOAT, shape)}, nodes, {"mean": FREE})
    np.testing.assert_allclose(ask(path).mean, large(SERIES.images.mean(0)), atol=1e-6)


def test_inputs_are_known_by_their_names_and_a_second_output_holds_samples(tmp_path: Path) -> None:
    """The clear mean over time plus a thousandth of the mean day, and that image twice."""
    nodes = [
        helper.make_node("Cast", ["clear"], ["seen"], to=FLOAT),
        helper.make_node("Unsqueeze", ["seen", "bands"], ["weight"]),
        helper.make_node("Mul", ["images", "weight"], ["lit"]),
        helper.make_node("ReduceSum", ["lit", "time"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["weight", "time"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["still"]),
        helper.make_node("ReduceMean", ["days", "time"], ["day"]),
        helper.make_node("Constant", [], ["small"], value_float=1e-3),
        helper.make_node("Mul", ["day", "small"], ["drift"]),
        helper.make_node("Add", ["still", "drift"], ["x"]),
        RESIZE,
        helper.make_node("Unsqueeze", ["mean", "time"], ["one"]),
        helper.make_node("Concat", ["one", "one"], ["samples"], axis=1),
    ]
    inputs = {
        "days": (FLOAT, (1, "time")),
        "clear": (BOOL, (1, "time", "rows", "cols")),
        "images": (FLOAT, (1, "time", C, "rows", "cols")),
    }
    outputs = {"mean": FREE, "samples": (1, M, C, "rows", "cols")}
    made = ask(save_model(tmp_path / "m.onnx", inputs, nodes, outputs))
    seen = SERIES.clear[:, None]
    wanted = (SERIES.images * seen).sum(0) / seen.sum(0) + SERIES.days_from(TARGET).mean() / 1000
    np.testing.assert_allclose(made.mean, large(wanted), atol=1e-6)
    np.testing.assert_array_equal(made.samples, np.stack([made.mean] * M))


def test_a_model_goes_by_its_file_and_its_version_is_of_its_contents(tmp_path: Path) -> None:
    first = outside(single(tmp_path / "net.onnx"), SCALE, BANDS)
    other = outside(f"ours={single(tmp_path / 'net2.onnx', (1, C, H, W))}", SCALE, BANDS)
    assert (first[0], other[0]) == ("net", "ours") and first[2] != other[2]
    (tmp_path / "net.onnx.data").write_bytes(b"weights kept beside")
    assert outside(str(tmp_path / "net.onnx"), SCALE, BANDS)[2] != first[2]


@pytest.mark.parametrize(
    ("coarse", "fine", "message"),
    [
        ((1, 3, "h", "w"), FREE, r"takes 3 bands, but the pairs have 4 \(B02, B03, B04, B08\)"),
        (FREE, (1, 3, "h", "w"), "gives 3 bands, but the pairs have 4"),
        ((1, C, H, W), (1, C, 2 * H, 2 * W), "makes 18 pixels of 9, but the scale is 3"),
        ((C, "h", "w"), FREE, r"takes x of 3 axes; wanted \[B, C, H, W\] or \[B, T, C, H, W\]"),
    ],
)
def test_a_model_of_another_kind_is_refused_before_it_runs(
    tmp_path: Path, coarse: Sequence[int | str], fine: Sequence[int | str], message: str
) -> None:
    path = tmp_path / "m.onnx"
    shape = [side if isinstance(side, int) else 8 for side in fine]
    nodes = [helper.make_node("RandomNormal", [], ["mean"], shape=shape)]
    with pytest.raises(InputError, match=message):
        outside(save_model(path, {"x": (FLOAT, coarse)}, nodes, {"mean": fine}), SCALE, BANDS)


def test_a_model_of_one_size_says_which(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"x is \[1, 4, 8, 14\], but the pair gives \[1, 4, 9, 14\]"
    ):
        ask(single(tmp_path / "m.onnx", (1, C, H - 1, W)))


def test_inputs_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    inputs = {"x": (FLOAT, FREE), "mood": (FLOAT, (1,))}
    with pytest.raises(InputError, match="has the inputs x, mood; name them images, clear, days"):
        outside(save_model(path, inputs, [RESIZE], {"mean": FREE}), SCALE, BANDS)
    nodes = [helper.make_node("Cast", ["y"], ["x"], to=FLOAT), RESIZE]
    with pytest.raises(InputError, match=r"takes tensor\(int16\); wanted tensor\(float\)"):
        outside(
            save_model(path, {"y": (TensorProto.INT16, FREE)}, nodes, {"mean": FREE}), SCALE, BANDS
        )
    path.write_bytes(b"no model")
    with pytest.raises(InputError, match=r"m.onnx cannot be read as ONNX: "):
        outside(str(path), SCALE, BANDS)


def test_a_missing_runtime_is_said_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r'needs onnxruntime; pip install "sitsr\[onnx\]"'):
        outside(single(tmp_path / "m.onnx"), SCALE, BANDS)


# ------------------------------------------------------------- predictions


def test_predictions_on_disk_are_a_system(tmp_path: Path) -> None:
    mean, samples = landscape(FINE, 1), landscape((M, *FINE), 2)
    write_prediction(tmp_path / "ours", TASK, mean, samples)
    name, system, version = outside(str(tmp_path / "ours"), SCALE, BANDS)
    made = checked(name, TASK, system(TASK, 0))
    assert name == "ours"
    np.testing.assert_array_equal(made.mean, mean)
    np.testing.assert_array_equal(made.samples, samples)
    write_prediction(tmp_path / "ours", TASK, mean + 0.01, samples)
    assert outside(f"{tmp_path}/ours", SCALE, BANDS)[2] != version


def test_a_folder_that_lacks_a_prediction_says_which(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no GeoTIFF; give a folder of predictions"):
        outside(str(tmp_path), SCALE, BANDS)
    write_prediction(tmp_path, TASK, landscape(FINE))
    name, system, _ = outside(f"ours={tmp_path}", SCALE, BANDS)
    with pytest.raises(InputError, match=r"^ours, winter of valley .*no prediction for winter"):
        system(replace(TASK, patch="winter"), 0)
    assert name == "ours"


def test_a_path_with_an_equals_sign_is_a_path(tmp_path: Path) -> None:
    write_prediction(tmp_path / "steps=4", TASK, landscape(FINE))
    assert outside(f"{tmp_path}/steps=4", SCALE, BANDS)[0] == "steps=4"
