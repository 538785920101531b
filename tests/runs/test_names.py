"""Names that MLflow accepts, and the way back."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sleap_lab.runs.names import clean_name, file_name


def restored(name):
    """The name that was encoded: nothing of it is lost."""
    return re.sub(r"_x([0-9A-F]+)_", lambda match: chr(int(match[1], 16)), name)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("eval/oks_map", "eval/oks_map"),  # the usual name stays as it is
        ("naïve tail-2.x", "naïve tail-2.x"),  # letters of any language, spaces, dashes, dots
        ("tail@base", "tail_x40_base"),
        ("ear (L)", "ear _x28_L_x29_"),
        ("a//b/", "a_x2F_/b_x2F_"),  # empty parts of a path
        ("../x", "_x2E_./x"),
        ("_x40_", "_x5F_x40_"),  # looks encoded, but is not
    ],
)
def test_worked_names(name, cleaned):
    assert clean_name(name) == cleaned
    assert restored(cleaned) == name


@pytest.fixture(scope="module")
def validate():
    """MLflow's own checks of a name."""
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    return lambda name: (_validate_metric_name(name), _validate_param_name(name))


@given(name=st.text(min_size=1, max_size=20) | st.text(alphabet="_x4A/.@", min_size=1, max_size=12))
@example(name="_xAB@")
def test_every_name_is_accepted_and_restored(name, validate):
    cleaned = clean_name(name)
    assert restored(cleaned) == name
    validate(cleaned)


@given(st.text(max_size=12), st.text(max_size=12))
def test_different_names_stay_different(first, second):
    assert (clean_name(first) == clean_name(second)) == (first == second)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("predictions.50%20.csv", "predictions.50_x25_20.csv"),
        ("predictions.a?1.csv", "predictions.a_x3F_1.csv"),
        ("predictions.a#1 [ü].csv", "predictions.a_x23_1 [ü].csv"),
        (".hydra", ".hydra"),
    ],
)
def test_names_of_files_arrive_whole(name, expected):
    assert file_name(name) == expected
    assert restored(expected) == name
