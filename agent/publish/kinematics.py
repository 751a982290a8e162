"""Where a vessel is and how it moves, packed into 13 bytes (17 with its MMSI).

Promises:
- `unpack(pack(k, ref), ref)` is `k` within the resolutions below, wherever on Earth `k` is;
- `unpack` raises `ProtocolError` and nothing else, whatever the bytes; bytes after the known fields are ignored;
- what is packed is what thinning compares against: both ends extrapolate the same numbers.

Layout, most significant bit first (docs/wire.md):

    status 3 | bearing-only 1 | mmsi 1 | dt 1 | wide 1 | class 6 | confidence 7 | dlat 19 | dlon 19 | cog 8 | sog 10
    then, for a position: major axis 7 | minor axis 7 | angle 6        for a bearing: bearing 13 | sigma 7
    then, where flagged:  dt int16 | lat int32, lon int32 | mmsi uint32
    then:                 source mask, LEB128

Resolutions: position 1e-5 deg from the birth's reference (to 2.6 deg away; `wide` beyond), COG 1/256 turn, SOG 0.1 kn,
confidence 1 %, axes 10 % steps from 1 m, angle 1/64 half-turn, bearing 1/8192 turn, its sigma 8 % steps from 0.01 deg.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from agent.errors import ProtocolError
from agent.geo import KNOT_MPS, LocalFrame, wrap180, wrap360
from agent.messages import Track, TrackStatus

E5 = 100_000
NO_CLASS = 63
_STATUSES = (
    TrackStatus.TENTATIVE, TrackStatus.CONFIRMED, TrackStatus.COASTING, TrackStatus.AIS, TrackStatus.LOST,
)  # fmt: skip  # order is part of the format
_UNKNOWN = 127  # of confidence, axes and sigma
_NEAR = 1 << 18  # half the range of dlat and dlon
_WIDTHS = (3, 1, 1, 1, 1, 6, 7, 19, 19, 8, 10, 20)  # 96 bits
_FIXED_BYTES = 12
_AXIS_STEP, _AXIS_UNIT_M = math.log(1.1), 1.0
_SIGMA_STEP, _SIGMA_UNIT_DEG = math.log(1.08), 0.01
_MAX_SOURCES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinematics:
    """One vessel at one moment. `class_index` and `sources` (bit mask) point into the birth's tables.

    Either the one-sigma ellipse (`major_m`, `minor_m`, `axis_deg` clockwise from north) or, for a contact known by
    bearing only, `bearing_deg` and `sigma_bearing_deg`; lat/lon then stand on its assumed range. `dt_s` is how much
    later (negative: earlier) than the message's time this was true.
    """

    lat: float
    lon: float
    cog_deg: float
    sog_mps: float
    status: TrackStatus
    class_index: int | None = None
    confidence: float | None = None
    major_m: float | None = None
    minor_m: float | None = None
    axis_deg: float = 0.0
    bearing_deg: float | None = None
    sigma_bearing_deg: float | None = None
    dt_s: float = 0.0
    mmsi: int | None = None
    sources: int = 0


def from_track(track: Track, *, dt_s: float = 0.0, class_index: int | None = None, sources: int = 0) -> Kinematics:
    """What the wire says of a track; `class_index` and `sources` come from the birth's tables.

    Raises:
        ProtocolError: the track has no finite position or motion.

    """
    if not all(math.isfinite(x) for x in (track.lat, track.lon, track.cog_deg, track.sog_mps, dt_s)):
        raise ProtocolError(f"track {track.id} cannot be sent: its position or motion is not a finite number")
    major_m, minor_m, axis_deg = _ellipse(track.cov)
    return Kinematics(
        lat=track.lat, lon=track.lon, cog_deg=track.cog_deg, sog_mps=track.sog_mps, status=track.status,
        class_index=class_index, confidence=track.confidence, major_m=major_m, minor_m=minor_m, axis_deg=axis_deg,
        bearing_deg=track.bearing_deg, sigma_bearing_deg=track.sigma_bearing_deg, dt_s=dt_s, mmsi=track.mmsi,
        sources=sources,
    )  # fmt: skip


def extrapolate(lat: float, lon: float, cog_deg: float, sog_mps: float, dt_s: float) -> tuple[float, float]:
    """(lat, lon) after `dt_s` on a straight line: what every receiver assumes between two updates."""
    angle, way_m = math.radians(cog_deg), sog_mps * dt_s
    return LocalFrame(lat=lat, lon=lon).to_geo(way_m * math.sin(angle), way_m * math.cos(angle))


def pack(k: Kinematics, ref_e5: tuple[int, int]) -> bytes:
    """The bytes; `ref_e5` is the birth's reference (lat, lon) in 1e-5 deg."""
    lat_e5, lon_e5 = round(k.lat * E5), round(k.lon * E5)
    dlat, dlon = lat_e5 - ref_e5[0], _wrap_e5(lon_e5 - ref_e5[1])
    wide = not (-_NEAR <= dlat < _NEAR and -_NEAR <= dlon < _NEAR)
    dt = max(-32768, min(32767, round(k.dt_s * 10)))
    class_index = k.class_index if k.class_index is not None and k.class_index < NO_CLASS else NO_CLASS
    fixed = _join(
        _STATUSES.index(k.status), k.bearing_deg is not None, k.mmsi is not None, dt != 0, wide, class_index,
        _percent(k.confidence), 0 if wide else dlat + _NEAR, 0 if wide else dlon + _NEAR,
        round(k.cog_deg * 256 / 360) % 256, max(0, min(1023, round(k.sog_mps / KNOT_MPS * 10))), _precision(k),
    )  # fmt: skip
    out = bytearray(fixed)
    if dt:
        out += struct.pack(">h", dt)
    if wide:
        out += struct.pack(">ii", lat_e5, _wrap_e5(lon_e5))
    if k.mmsi is not None:
        out += struct.pack(">I", k.mmsi & 0xFFFFFFFF)
    return bytes(out + _leb128(k.sources & ((1 << _MAX_SOURCES) - 1)))


def unpack(data: bytes, ref_e5: tuple[int, int]) -> Kinematics:
    """What `pack` packed.

    Raises:
        ProtocolError: too short, or a field out of its range.

    """
    status, bearing_only, has_mmsi, has_dt, wide, class_index, percent, dlat, dlon, cog, sog, precision = _split(data)
    if status >= len(_STATUSES):
        raise ProtocolError(f"track status {status} is unknown to this receiver: update it")
    at = _FIXED_BYTES
    dt, at = _field(data, ">h", at) if has_dt else (0, at)
    lat_e5, at = _field(data, ">i", at) if wide else (dlat - _NEAR + ref_e5[0], at)
    lon_e5, at = _field(data, ">i", at) if wide else (_wrap_e5(dlon - _NEAR + ref_e5[1]), at)
    mmsi, at = _field(data, ">I", at) if has_mmsi else (None, at)
    if abs(lat_e5) > 90 * E5 or abs(lon_e5) > 180 * E5:
        raise ProtocolError("a track's position is off the Earth")
    major, minor, axis = (None, None, 0) if bearing_only else (precision >> 13, precision >> 6 & 127, precision & 63)
    return Kinematics(
        lat=lat_e5 / E5,
        lon=lon_e5 / E5,
        cog_deg=cog * 360 / 256,
        sog_mps=sog / 10 * KNOT_MPS,
        status=_STATUSES[status],
        class_index=None if class_index == NO_CLASS else class_index,
        confidence=None if percent == _UNKNOWN else percent / 100,
        major_m=_from_log(major, _AXIS_STEP, _AXIS_UNIT_M),
        minor_m=_from_log(minor, _AXIS_STEP, _AXIS_UNIT_M),
        axis_deg=axis * 180 / 64,
        bearing_deg=(precision >> 7) * 360 / 8192 if bearing_only else None,
        sigma_bearing_deg=_from_log(precision & 127, _SIGMA_STEP, _SIGMA_UNIT_DEG) if bearing_only else None,
        dt_s=dt / 10,
        mmsi=mmsi,
        sources=_from_leb128(data, at),
    )


def _ellipse(cov: tuple[tuple[float, ...], ...]) -> tuple[float | None, float | None, float]:
    """One-sigma axes (m) and the major axis' angle (deg clockwise from north) of an east/north covariance."""
    if len(cov) < 2 or len(cov[0]) < 2 or len(cov[1]) < 2:
        return None, None, 0.0
    east, both, north = cov[0][0], (cov[0][1] + cov[1][0]) / 2, cov[1][1]
    mean, half = (east + north) / 2, math.hypot((north - east) / 2, both)
    if not math.isfinite(mean + half) or mean + half < 0:
        return None, None, 0.0
    angle = math.degrees(math.atan2(2 * both, north - east)) / 2
    return math.sqrt(mean + half), math.sqrt(max(mean - half, 0.0)), angle % 180.0


def _precision(k: Kinematics) -> int:
    if k.bearing_deg is not None:
        sigma = _to_log(k.sigma_bearing_deg, _SIGMA_STEP, _SIGMA_UNIT_DEG)
        return round(wrap360(k.bearing_deg) * 8192 / 360) % 8192 << 7 | sigma
    major, minor = _to_log(k.major_m, _AXIS_STEP, _AXIS_UNIT_M), _to_log(k.minor_m, _AXIS_STEP, _AXIS_UNIT_M)
    return major << 13 | minor << 6 | round(k.axis_deg * 64 / 180) % 64


def _to_log(x: float | None, step: float, unit: float) -> int:
    if x is None or not math.isfinite(x):
        return _UNKNOWN
    return min(_UNKNOWN - 1, max(0, round(math.log(max(x, unit) / unit) / step)))


def _from_log(code: int | None, step: float, unit: float) -> float | None:
    return None if code is None or code == _UNKNOWN else unit * math.exp(code * step)


def _percent(confidence: float | None) -> int:
    if confidence is None or not math.isfinite(confidence):
        return _UNKNOWN
    return max(0, min(100, round(confidence * 100)))


def _wrap_e5(lon_e5: int) -> int:
    return lon_e5 if -180 * E5 <= lon_e5 <= 180 * E5 else round(wrap180(lon_e5 / E5) * E5)


def _join(*values: int) -> bytes:
    bits = 0
    for value, width in zip(values, _WIDTHS, strict=True):
        bits = bits << width | int(value)
    return bits.to_bytes(_FIXED_BYTES, "big")


def _split(data: bytes) -> list[int]:
    if len(data) < _FIXED_BYTES:
        raise ProtocolError(f"a track's kinematics are {_FIXED_BYTES} bytes at least, {len(data)} came")
    bits = int.from_bytes(data[:_FIXED_BYTES], "big")
    values = []
    for width in reversed(_WIDTHS):
        values.append(bits & ((1 << width) - 1))
        bits >>= width
    return values[::-1]


def _field(data: bytes, fmt: str, at: int) -> tuple[int, int]:
    end = at + struct.calcsize(fmt)
    if end > len(data):
        raise ProtocolError("a track's kinematics end in the middle of a field")
    value: int = struct.unpack(fmt, data[at:end])[0]
    return value, end


def _leb128(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def _from_leb128(data: bytes, at: int) -> int:
    value = 0
    for i, byte in enumerate(data[at : at + _MAX_SOURCES // 7 + 1]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value
    raise ProtocolError("a track's source mask does not end")
