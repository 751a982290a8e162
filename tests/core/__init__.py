"""Tests of the core, with a small synthetic coast of their own (world.py)."""
