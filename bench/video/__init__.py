"""Radar video of known vessels to plots and tracks: `python -m bench.video --help`."""
