"""The peer's side of `vigia bench formats`: run by the interpreter of .venv-peers/sapient, which has sapient-msg.

Reads one JSON object a line, as `wire.decode` gives tracks and alerts, and prints for each the bytes of the SAPIENT
(BSI Flex 335 v2.0) messages with its content, as protobuf and as JSON: a DetectionReport for a track; an Alert and the
DetectionReport that it points to for an alert. Ids are ULIDs and the node's a UUID, as the standard has them.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from google.protobuf.json_format import MessageToJson  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sapient_msg.bsi_flex_335_v2_0 import (  # type: ignore[import-not-found,unused-ignore]
    alert_pb2,
    location_pb2,
    sapient_message_pb2,
)

NODE = "1f0c8f5a-6a59-4c8e-9d2c-0d4f6f2b7a11"
PRIORITIES = {"low": 1, "medium": 2, "high": 3}
CONFIDENCES = {"possible": 0.3, "likely": 0.6, "very-likely": 0.85, "certain": 0.99}
STATES = {"raised": 1, "updated": 1, "cleared": 5}


def ulid(kind: int, number: int) -> str:
    """26 letters of a ULID's alphabet."""
    return f"01J{kind:02d}{number:021d}"


def place(location: Any, row: dict[str, Any]) -> None:
    """Where, and how well it is known."""
    location.x, location.y = row["lon"], row["lat"]
    if "accuracy_m" in row:
        location.x_error = location.y_error = row["accuracy_m"]
    location.coordinate_system = location_pb2.LOCATION_COORDINATE_SYSTEM_LAT_LNG_DEG_M
    location.datum = location_pb2.LOCATION_DATUM_WGS84_E


def envelope(row: dict[str, Any]) -> Any:
    """A message of the box, with its time."""
    message = sapient_message_pb2.SapientMessage(node_id=NODE)
    message.timestamp.FromMilliseconds(round(row["at"] * 1000))
    return message


def detection(row: dict[str, Any], track: int) -> Any:
    """A track."""
    message = envelope(row)
    report = message.detection_report
    report.report_id, report.object_id = ulid(1, row["seq"]), ulid(2, track)
    place(report.location, row)
    report.state = row["status"] if row["type"] == "track" else "confirmed"
    course = math.radians(row["cog_deg"])
    report.enu_velocity.east_rate = row["sog_mps"] * math.sin(course)
    report.enu_velocity.north_rate = row["sog_mps"] * math.cos(course)
    if "confidence" in row:
        report.detection_confidence = row["confidence"]
    if "class" in row:
        report.classification.add(type="Maritime Vehicle").sub_class.add(type=row["class"], level=1)
    if "mmsi" in row:
        report.track_info.add(type="MMSI", value=str(row["mmsi"]))
    return message


def alert(row: dict[str, Any]) -> Any:
    """An alert that points at its track."""
    message = envelope(row)
    told = message.alert
    told.alert_id, told.alert_type = ulid(3, row["id"]), alert_pb2.Alert.ALERT_TYPE_WARNING
    told.status, told.priority = STATES[row["state"]], PRIORITIES[row["severity"]]
    told.confidence = CONFIDENCES[row["likelihood"]]
    told.description = f"{row['rule_name']}: {' '.join(row['reason_codes'])}"
    if row["zone"] is not None:
        told.region_id = row["zone"]
    place(told.location, row)
    told.associated_detection.add(node_id=NODE, object_id=ulid(2, row["track"]))
    return message


def main() -> None:
    """Sizes, one JSON object a line."""
    for line in sys.stdin:
        row = json.loads(line)
        messages = [detection(row, row["id"])] if row["type"] == "track" else [alert(row), detection(row, row["track"])]
        print(json.dumps({
            "protobuf": sum(len(m.SerializeToString()) for m in messages),
            "json": sum(len(MessageToJson(m, indent=None).encode()) for m in messages),
        }))  # fmt: skip


if __name__ == "__main__":
    main()
