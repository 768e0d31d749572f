"""Columns of Arrow built without pandas: equal to what pyarrow makes of the same values."""

from __future__ import annotations

import os

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.columns import column, integers, numbers, scalar, table

from .conftest import Cli, write_input

_INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
_FLOATS = st.floats(width=32) | st.floats()
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_VALUES = {
    "int64": (pa.int64(), _INTEGERS),
    "double": (pa.float64(), _FLOATS),
    "float": (pa.float32(), _FLOATS),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), _TEXTS),
    "list<int64>": (pa.list_(pa.int64()), st.lists(_INTEGERS, max_size=3)),
    "list<string>": (pa.list_(pa.string()), st.lists(_TEXTS | st.none(), max_size=3)),
    "list<float>": (pa.list_(pa.float32()), st.lists(_FLOATS | st.none(), max_size=3)),
}


@pytest.mark.parametrize("kind", _VALUES)
@settings(deadline=None)
@given(data=st.data())
def test_a_column_is_what_pyarrow_makes_of_the_values(kind: str, data: st.DataObject) -> None:
    """Whatever a step sets, nulls and odd floats included, is written as it always was."""
    arrow_type, values = _VALUES[kind]
    given_values = data.draw(st.lists(values | st.none(), max_size=20))
    found = column(given_values, arrow_type)
    found.validate(full=True)
    expected = pa.array(given_values, arrow_type)
    assert found.type == expected.type
    assert found.null_count == expected.null_count
    assert repr(found.to_pylist()) == repr(expected.to_pylist())  # NaN is not equal to itself


@pytest.mark.parametrize(
    ("values", "arrow_type"),
    [
        ([1], pa.float64()),
        ([np.int64(3), None], pa.int64()),
        ([(1, 2)], pa.list_(pa.int64())),
        (["a"], pa.large_string()),
        ([b"a"], pa.binary()),
    ],
)
def test_other_values_are_left_to_pyarrow(values: list[object], arrow_type: pa.DataType) -> None:
    """A value of a kind that is not ours to convert becomes what pyarrow makes of it."""
    assert column(values, arrow_type).equals(pa.array(values, arrow_type))


@pytest.mark.parametrize(
    ("values", "arrow_type"),
    [(["a"], pa.int64()), ([1 << 63], pa.int64()), ([True], pa.string()), ([[1]], pa.bool_())],
)
def test_a_value_of_another_type_is_refused(values: list[object], arrow_type: pa.DataType) -> None:
    """A column that does not hold what it says is an error, as pyarrow words it."""
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError, OverflowError)) as expected:
        pa.array(values, arrow_type)
    with pytest.raises(expected.type):
        column(values, arrow_type)


@settings(deadline=None)
@given(st.lists(_FLOATS | st.none(), max_size=20), st.integers(0, 5))
def test_numbers_come_back_from_any_slice(values: list[float | None], start: int) -> None:
    """Measures read back are those written, NaN where there is none."""
    sliced = pa.chunked_array([pa.array(values, pa.float64()).slice(start), pa.array([2.5])])
    expected = [np.nan if value is None else value for value in sliced.to_pylist()]
    assert np.array_equal(numbers(sliced, np.float64), expected, equal_nan=True)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=20), st.integers(0, 9))
def test_truth_values_come_back_from_any_slice(values: list[bool], start: int) -> None:
    """Which rows match is the same wherever the part of a column that was read begins."""
    assert numbers(pa.array(values, pa.bool_()).slice(start), np.bool_).tolist() == values[start:]


def test_missing_numbers_are_no_whole_numbers() -> None:
    """A null is never read as some whole number."""
    with pytest.raises(ValueError, match="nulls"):
        numbers(pa.array([1, None]), np.int64)


def test_rows_are_taken_by_number() -> None:
    """Row numbers as NumPy has them take these rows."""
    rows = pa.table({"a": ["x", "y", "z"]}).take(integers(np.array([2, 0, 1, 1])[::2]))
    assert rows.to_pylist() == [{"a": "z"}, {"a": "y"}]
    assert scalar("x") == pa.scalar("x")


def test_a_table_has_the_columns_of_its_schema() -> None:
    """Columns are in the order of the schema, whose facts go to the file's footer."""
    schema = pa.schema([("b", pa.int64()), ("a", pa.string())], metadata={"k": "v"})
    made = table({"a": ["x"], "b": [1]}, schema)
    assert made.equals(pa.table({"b": [1], "a": ["x"]}, schema=schema), check_metadata=True)


def test_a_run_does_not_import_pandas(cli: Cli) -> None:
    """Nobody pays for pandas, which pyarrow would import in every process of a run."""
    (cli.folder / "there" / "pandas").mkdir(parents=True)
    (cli.folder / "there" / "pandas" / "__init__.py").write_text(
        "open('imported', 'a').write('once')\nraise ImportError('not whole')\n"
    )
    cli.environment["PYTHONPATH"] += f"{os.pathsep}{cli.folder / 'there'}"
    toy = (cli.folder / "toy.py").read_text()
    assert "output=filtered" in toy
    deduped = toy.replace("output=filtered", "output=minhash_dedup(filtered, verify=0.8)")
    (cli.folder / "toy.py").write_text(f"from curate.dedup.stages import minhash_dedup\n{deduped}")
    write_input(cli.folder, "d", [f"{'one text there and here ' * 9} {n % 2}" for n in range(9)])
    cli("run", "toy.py", "--annotate", "--keep-dropped-text")
    assert cli.status()["minhash_deduped"]["dropped"] > 5
    assert not (cli.folder / "imported").exists()
