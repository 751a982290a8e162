"""Records: the event log, checkpoints, and replay through the core."""
