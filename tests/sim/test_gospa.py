"""GOSPA by hand, by its properties, and beside Stone Soup's."""

from __future__ import annotations

import json
import math
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware_sim.score.gospa import gospa
from support.peers import peer_python

points = st.lists(st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000)), max_size=5)


def test_by_hand() -> None:
    # two true, one track 50 m from the first: 50^2 + 200^2 / 2
    g = gospa([(0.0, 0.0), (500.0, 0.0)], [(30.0, 40.0)])
    assert (g.localisation, g.missed, g.false) == pytest.approx((2500.0, 20_000.0, 0.0))
    assert g.total == pytest.approx(150.0)
    assert g.pairs == ((0, 0),)
    # a track 250 m off is a miss and a false track: sqrt(2 * 200^2 / 2) = 200
    assert gospa([(0.0, 0.0)], [(250.0, 0.0)]).total == pytest.approx(200.0)
    assert gospa([(0.0, 0.0)], [(250.0, 0.0)]).pairs == ()
    assert gospa([], []).total == 0.0
    assert gospa([], [(1.0, 1.0)] * 2).false == pytest.approx(40_000.0)


def test_the_assignment_is_the_best_and_not_the_nearest_first() -> None:
    # greedy pairs truth 0 with track 0 (10 m) and leaves 1-1 at 110 m; the best gives 60 and 60
    g = gospa([(0.0, 0.0), (70.0, 0.0)], [(10.0, 0.0), (-60.0, 0.0)])
    assert g.pairs == ((0, 1), (1, 0))
    assert g.localisation == pytest.approx(7200.0)


@settings(deadline=None, max_examples=60)
@given(points, points, points)
def test_it_is_a_metric(
    x: list[tuple[float, float]], y: list[tuple[float, float]], z: list[tuple[float, float]]
) -> None:
    assert gospa(x, x).total == pytest.approx(0.0, abs=1e-6)
    assert gospa(x, y).total == pytest.approx(gospa(y, x).total)
    assert gospa(x, z).total <= gospa(x, y).total + gospa(y, z).total + 1e-6
    g = gospa(x, y)
    assert g.total**2 == pytest.approx(g.localisation + g.missed + g.false)


STONE_SOUP = """
import datetime, json, sys
from stonesoup.metricgenerator.ospametric import GOSPAMetric
from stonesoup.types.state import State
now = datetime.datetime(2026, 1, 1)
def states(points):
    return [State([[x], [y]], timestamp=now) for x, y in points]
for line in sys.stdin:
    truth, tracks = json.loads(line)
    value = GOSPAMetric(p=2, c=200.0).compute_gospa_metric(states(tracks), states(truth))[0].value
    print(json.dumps({k: float(v) for k, v in value.items()}))
"""


def test_beside_stone_soup() -> None:
    rng = np.random.default_rng(5)
    cases = [[rng.uniform(-400, 400, (int(n), 2)).round(1).tolist() for n in rng.integers(1, 9, 2)] for _ in range(40)]
    done = subprocess.run(
        [peer_python("stonesoup"), "-c", STONE_SOUP],
        input="\n".join(json.dumps(c) for c in cases), capture_output=True, text=True, check=True,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    for (truth, tracks), theirs in zip(cases, answers, strict=True):
        ours = gospa([tuple(p) for p in truth], [tuple(p) for p in tracks])
        assert ours.total == pytest.approx(theirs["distance"], abs=1e-6)
        assert ours.localisation == pytest.approx(theirs["localisation"], abs=1e-6)
        assert ours.missed == pytest.approx(theirs["missed"], abs=1e-6)
        assert ours.false == pytest.approx(theirs["false"], abs=1e-6)
        assert math.isfinite(ours.total)
