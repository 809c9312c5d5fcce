from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgmed.errors import InputError
from kgmed.intake.ages import ONSET_DAYS, days_between, parse_age, parse_date


@pytest.mark.parametrize(
    ("value", "days"),
    [
        ("P3Y", 3 * 365.25),
        ("P3Y2M", 3 * 365.25 + 2 * 365.25 / 12),
        ("P1Y2M3D", 365.25 + 2 * 365.25 / 12 + 3),
        ("P6W", 42),
        ("PT12H", 0.5),
        ("p0d", 0),
        (40, 40 * 365.25),
        ("40", 40 * 365.25),
        (0.5, 0.5 * 365.25),
        ({"days": 10}, 10),
        ({"years": 1, "days": 1}, 366.25),
        ("18 months", 1.5 * 365.25),
        ("3y", 3 * 365.25),
        ("6 weeks old", 42),
        ("HP:0003623", 14),  # neonatal: 0 to 28 days
        ("HP:0011463", 3 * 365.25),  # childhood: 1 to 5 years
        ("HP:0003584", 60 * 365.25),  # late: open, so its start
    ],
)
def test_parse_age(value: object, days: float) -> None:
    assert parse_age(value) == pytest.approx(days)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "P",
        "PT",
        "P3X",
        "old",
        "-3",
        -1,
        131,
        "P131Y",
        float("nan"),
        float("inf"),
        True,
        None,
        [],
        {},
        10**400,
        {"days": "3"},
        {"fortnights": 1},
        {"days": float("nan")},
        "HP:0001250",
        "3 parsecs",
    ],
)
def test_parse_age_refuses(value: object) -> None:
    with pytest.raises(InputError):
        parse_age(value)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.dictionaries(st.text(), st.floats())))
def test_parse_age_never_leaves_the_range(value: object) -> None:
    try:
        days = parse_age(value)
    except InputError as error:
        assert not isinstance(value, str) or len(value) < 12 or value not in str(error)
    else:
        assert 0 <= days <= 130 * 365.25


def test_onset_classes_lie_in_order() -> None:
    order = ["HP:0003577", "HP:0003623", "HP:0003593", "HP:0011463", "HP:0003621", "HP:0011462", "HP:0003596"]
    days = [ONSET_DAYS[term] for term in (*order, "HP:0003584")]
    assert days == sorted(set(days))


def test_parse_date() -> None:
    assert parse_date("2005") == (dt.date(2005, 7, 1), False)
    assert parse_date("2005-07") == (dt.date(2005, 7, 15), False)
    assert parse_date("2005-07-29T20:37:06+00:00") == (dt.date(2005, 7, 29), True)
    assert parse_date("2005-13-40") is None
    assert parse_date(2005) is None
    assert days_between(dt.date(2000, 1, 2), dt.date(2000, 1, 1)) is None
