"""The profiles (UAP) of the ASTERIX categories of targets: which items a record may hold, in which order, how long.

Editions: CAT010 1.1, CAT034 1.29, CAT048 1.32, CAT062 1.21. Checked item by item against asterix-decoder's own
tables by tests/radar/test_asterix.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.drivers.radar.asterix import Compound, Explicit, Extended, Repeated

if TYPE_CHECKING:
    from agent.drivers.radar.asterix import Profile

_REST = Explicit()

CAT010: Profile = (
    ("010", 2), ("000", 1), ("020", Extended()), ("140", 3), ("041", 8), ("040", 4), ("042", 4),
    ("200", 4), ("202", 4), ("161", 2), ("170", Extended()), ("060", 2), ("220", 3), ("245", 7),
    ("250", Repeated(8)), ("300", 1), ("090", 2), ("091", 2), ("270", Extended()), ("550", 1), ("310", 1),
    ("500", 4), ("280", Repeated(2)), ("131", 1), ("210", 2), None, ("SP", _REST), ("RE", _REST),
)  # fmt: skip

CAT034: Profile = (
    ("010", 2), ("000", 1), ("030", 3), ("020", 1), ("041", 2),
    ("050", Compound((1, None, None, 1, 1, 2, None))), ("060", Compound((1, None, None, 1, 1, 1, None))),
    ("070", Repeated(2)), ("100", 8), ("110", 1), ("120", 8), ("090", 2), ("RE", _REST), ("SP", _REST),
)  # fmt: skip

CAT048_130 = Compound((1, 1, 1, 1, 1, 1, 1))  # SRL SRR SAM PRL PAM RPD APD
CAT048: Profile = (
    ("010", 2), ("140", 3), ("020", Extended()), ("040", 4), ("070", 2), ("090", 2), ("130", CAT048_130),
    ("220", 3), ("240", 6), ("250", Repeated(8)), ("161", 2), ("042", 4), ("200", 4), ("170", Extended()),
    ("210", 4), ("030", Extended()), ("080", 2), ("100", 4), ("110", 2), ("120", Compound((2, Repeated(6)))),
    ("230", 2), ("260", 7), ("055", 1), ("050", 2), ("065", 1), ("060", 2), ("SP", _REST), ("RE", _REST),
)  # fmt: skip

_CAT062_380 = Compound(
    (3, 6, 2, 2, 2, 2, 2, Extended(), Repeated(15), 2, 2, 7, 2, 2, 2, 2, 2, 2, 1, 8, 1, 6, 2, 1, Repeated(8), 2, 2, 2)
)
_CAT062_390 = Compound((2, 7, 4, 1, 4, 1, 4, 4, 3, 2, 2, Repeated(4), 6, 1, 7, 7, 2, 7))
CAT062: Profile = (
    ("010", 2), None, ("015", 1), ("070", 3), ("105", 8), ("100", 6), ("185", 4),
    ("210", 2), ("060", 2), ("245", 7), ("380", _CAT062_380), ("040", 2), ("080", Extended()),
    ("290", Compound((1, 1, 1, 1, 2, 1, 1, 1, 1, 1))),
    ("200", 1), ("295", Compound((1,) * 31)), ("136", 2), ("130", 2), ("135", 2), ("220", 2), ("390", _CAT062_390),
    ("270", Extended()), ("300", 1), ("110", Compound((1, 4, 6, 2, 2, 1, 1))), ("120", 2), ("510", Extended(3, 3)),
    ("500", Compound((4, 2, 4, 1, 1, 2, 2, 1))), ("340", Compound((2, 4, 2, 2, 2, 1))),
    None, None, None, None, None, ("RE", _REST), ("SP", _REST),
)  # fmt: skip

PROFILES: dict[int, Profile] = {10: CAT010, 34: CAT034, 48: CAT048, 62: CAT062}
