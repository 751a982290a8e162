"""From raw sensor pictures to measurements: camera frames to boxes, radar video to plots."""
