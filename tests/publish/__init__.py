"""Tests of the way to the picture."""
