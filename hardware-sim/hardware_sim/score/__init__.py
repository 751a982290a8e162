"""What a box made of a run, scored against the truth: alerts, tracks, and how long they took."""

from hardware_sim.score.report import score_files

__all__ = ["score_files"]
