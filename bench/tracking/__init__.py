"""Tracking quality against truth, beside Stone Soup on the same plots: `python -m bench.tracking --help`."""
