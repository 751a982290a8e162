"""The statistics of whether a covariance is true, on values whose distribution is known."""

from __future__ import annotations

import numpy as np
import pytest

from bench.tracking.calibration import independent, interval, student
from bench.tracking.score import Score


def test_true_covariances_hold_and_others_do_not() -> None:
    rng = np.random.default_rng(5)
    true = rng.chisquare(4.0, (400, 30)).mean(axis=1)
    assert interval(true.tolist())["holds"]
    assert not interval((1.1 * true).tolist())["holds"]
    assert not interval((0.9 * true).tolist())["holds"]


def test_the_interval_is_the_same_each_time_and_as_wide_as_students_where_values_are_even() -> None:
    values = np.random.default_rng(6).normal(4.0, 1.0, 300).tolist()
    once = interval(values)
    assert once == interval(values)
    assert once["bootstrap"] == pytest.approx(once["student"], abs=0.02)


@pytest.mark.parametrize(("dof", "quantile"), [(10, 2.2281), (30, 2.0423), (1000, 1.9623)])
def test_students_quantile_is_that_of_the_tables(dof: int, quantile: float) -> None:
    assert student(dof) == pytest.approx(quantile, abs=1e-3)


def test_the_two_of_a_meeting_count_once() -> None:
    s = Score(each=[(0, 2.0), (1, 4.0), (3, 7.0)])
    assert independent("crossing", s) == [3.0, 7.0]
    assert independent("open", s) == [2.0, 4.0, 7.0]
