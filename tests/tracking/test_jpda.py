"""Joint association against all its ways counted out one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tracking import jpda, unresolved

NONE = jpda.Both(a=np.empty(0, dtype=np.int64), b=np.empty(0, dtype=np.int64), ratio=np.empty(0))


def counted(row: list[int], col: list[int], ratio: list[float], miss: list[float]) -> list[float]:
    """Every way to give each track one of its candidates or none; of those with the same tracks and plots the best."""
    tracks = sorted(set(row))
    choices = [[None, *[k for k, r in enumerate(row) if r == t]] for t in tracks]
    best: dict[tuple[frozenset[int], frozenset[int]], tuple[float, list[int]]] = {}
    for way in itertools.product(*choices):
        taken = [k for k in way if k is not None]
        if len({col[k] for k in taken}) < len(taken):
            continue
        weight = 1.0
        for t, k in zip(tracks, way, strict=True):
            weight *= miss[row.index(t)] if k is None else ratio[k]
        key = (frozenset(row[k] for k in taken), frozenset(col[k] for k in taken))
        if key not in best or weight > best[key][0]:
            best[key] = (weight, taken)
    total = sum(w for w, _ in best.values())
    return [sum(w for w, taken in best.values() if k in taken) / total for k in range(len(row))]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0.05, 50.0)), max_size=10, unique_by=lambda t: t[:2]
    )
)
def test_as_counted_out(cells: list[tuple[int, int, float]]) -> None:
    cells.sort()
    row, col, ratio = [c[0] for c in cells], [c[1] for c in cells], [c[2] for c in cells]
    miss = [0.1 + 0.1 * r for r in row]
    got, _ = jpda.share(
        np.array(row, dtype=np.int64), np.array(col, dtype=np.int64), np.array(ratio), np.array(miss), NONE
    )
    assert got == pytest.approx(counted(row, col, ratio, miss) if cells else [], abs=1e-6)


def test_a_crowd_is_solved_by_the_best_assignment() -> None:
    n = 9  # 10^9 ways
    row, col = (a.ravel() for a in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    ratio = np.where(row == col, 100.0, 1.0)
    beta, _ = jpda.share(row, col, ratio, np.full(len(row), 0.1), NONE)
    assert np.all(beta[row == col] > 0.99)
    assert np.all(beta[row != col] == 0.0)


def test_one_echo_between_two_tracks_is_both_of_them() -> None:
    x = np.array([[-30.0, 3000.0, 5.0, 0.0], [30.0, 3000.0, -5.0, 0.0]])
    p = np.tile(np.diag([100.0, 100.0, 4.0, 4.0]), (2, 1, 1))
    z, r = np.array([[2.0, 3000.0]]), np.diag([225.0, 225.0])[None]
    row, col = np.array([0, 1]), np.array([0, 0])
    meet = unresolved.common(row, col, x, p, z, r)
    assert len(meet.a) == 1
    # each track is told its own side of the middle
    assert meet.za[0, 0] == pytest.approx(-26.0)
    assert meet.zb[0, 0] == pytest.approx(34.0)
    both = jpda.Both(a=meet.a, b=meet.b, ratio=0.9 * meet.density / 1e-7)
    s = p[0, :2, :2] + r[0]
    d2 = np.array([(z[0] - x[i, :2]) @ np.linalg.solve(s, z[0] - x[i, :2]) for i in (0, 1)])
    alone = 0.9 * np.exp(-0.5 * d2) / (2.0 * np.pi * np.sqrt(np.linalg.det(s))) / 1e-7
    _, common = jpda.share(row, col, alone, np.full(2, 0.1), both)
    assert common[0] > 0.8


def test_far_apart_nothing_is_common() -> None:
    x = np.array([[-400.0, 3000.0, 0.0, 0.0], [400.0, 3000.0, 0.0, 0.0]])
    p = np.tile(np.eye(4) * 100.0, (2, 1, 1))
    row, col = np.array([0, 1]), np.array([0, 0])
    assert not len(unresolved.common(row, col, x, p, np.array([[0.0, 3000.0]]), np.eye(2)[None] * 225.0).a)
