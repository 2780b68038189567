"""Laws: what was saved comes back; nothing half-written is left; another file is refused."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sitsr.evaluation import Row, read_rows, save_rows
from sitsr.series import InputError


def make_rows():
    """Rows of two systems with different measures."""
    return [
        Row("a", "site 1", "2021-07-18", "scale transfer", 0, 0.5, {"psnr": 30.0, "mae": 0.01}),
        Row("b", 'a "site", far', "pair 0", "real pair", 3, 1 / 3, {"psnr": math.inf, "shift": -1}),
    ]


def test_rows_come_back_as_they_were_saved(tmp_path):
    path = tmp_path / "made" / "scores.parquet"
    save_rows(make_rows(), path, {"members": 16, "versions": {"a": "1"}})
    rows, configuration = read_rows(path)
    assert rows == make_rows()
    assert configuration == {"members": 16, "versions": {"a": "1"}}
    assert [each.name for each in path.parent.iterdir()] == ["scores.parquet"]


def test_any_reader_of_parquet_finds_one_line_a_row_and_one_column_a_measure(tmp_path):
    save_rows(make_rows(), tmp_path / "scores.parquet")
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.num_rows == 2
    assert table.column_names[:6] == ["system", "site", "patch", "kind", "seed", "seconds"]
    assert table["psnr"].to_pylist() == [30.0, math.inf]
    assert math.isnan(table["mae"].to_pylist()[1])


def test_a_row_is_known_by_system_kind_site_patch_and_seed():
    assert len({row.key for row in make_rows()}) == 2
    assert make_rows()[1].key == ("b", "real pair", 'a "site", far', "pair 0", 3)


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    def torn(table, path):
        path.write_bytes(b"PAR1")
        raise OSError("disk full")

    save_rows(make_rows(), tmp_path / "scores.parquet")
    before = (tmp_path / "scores.parquet").read_bytes()
    monkeypatch.setattr(pq, "write_table", torn)
    with pytest.raises(OSError, match="disk full"):
        save_rows(make_rows()[:1], tmp_path / "scores.parquet")
    assert [each.name for each in tmp_path.iterdir()] == ["scores.parquet"]
    assert (tmp_path / "scores.parquet").read_bytes() == before


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.parquet").write_text("system,psnr\n")
    with pytest.raises(InputError, match="not a file of scores"):
        read_rows(tmp_path / "text.parquet")
    pq.write_table(pa.table({"system": ["a"], "psnr": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no column site, patch, kind, seed, seconds"):
        read_rows(tmp_path / "other.parquet")
