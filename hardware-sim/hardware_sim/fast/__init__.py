"""Runs without devices: what a box's extractors would make of a scenario, far faster than real time."""
