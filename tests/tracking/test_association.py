"""Small clusters, where all choices are looked at, are assigned as the package for large ones assigns them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tracking import association


@settings(deadline=None, max_examples=200)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=24, unique=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_looking_at_all_choices_finds_what_the_solver_finds(pairs: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, col = (np.array(v, dtype=np.int64) for v in zip(*pairs, strict=True))
    cost = rng.normal(0.0, 5.0, len(pairs))
    limit = cost + rng.uniform(0.0, 12.0, len(pairs))
    both = []
    with pytest.MonkeyPatch.context() as patch:
        for few in (6, 0):
            patch.setattr(association, "FEW", few)
            both.append([v.tolist() for v in association.assign(row, col, cost, limit)])
    assert both[0] == both[1]
    assert len(set(both[0][0])) == len(both[0][0])
    assert len(set(both[0][1])) == len(both[0][1])
