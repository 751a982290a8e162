"""Programs of other people that judge ours, each in an environment of its own (`make peers`), since they clash.

A peer is a list of packages `tests/peers/NAME.txt`, installed as `.venv-peers/NAME`; it never becomes a dependency.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def peer_python(name: str) -> str:
    """The interpreter that has the peer; its absence is a failure with what to do, not a skip."""
    python = ROOT / ".venv-peers" / name / "bin" / "python"
    assert python.exists(), f"the peer {name} is not installed: make peers"
    return str(python)
