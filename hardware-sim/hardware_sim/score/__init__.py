"""What a box made of a run, scored against the truth: alerts, tracks, how long they took, and its camera's boxes."""

from hardware_sim.score.report import score_boxes, score_files

__all__ = ["score_boxes", "score_files"]
