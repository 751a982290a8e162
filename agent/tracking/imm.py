"""Interacting multiple models for many tracks at once: a vessel holds its course, manoeuvres, or has stopped.

Promises:
- three modes per track: CRUISE (constant velocity, little noise), TURN (coordinated turn with its own rate, much noise)
  and STOP (no velocity); their probabilities follow Bayes' rule, their states mix as the modes' mean stays say (Blom,
  Bar-Shalom, "The interacting multiple model algorithm", IEEE T-AC 33(8), 1988; turn model: Bar-Shalom, Li,
  Kirubarajan, "Estimation with Applications to Tracking and Navigation", 11.7);
- a state is (east_m, north_m, v_east_mps, v_north_mps, turn_rad_s), clockwise positive; modes are (n, 3, 5) and
  (n, 3, 5, 5); the turn rate is 0 in CRUISE and STOP, whose variance for it is what a turn may begin with;
- the combined state is the mixture's mean and covariance, so it says how far the modes disagree;
- per-track arithmetic only: the same track gives the same bits whatever stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.tracking import kalman

if TYPE_CHECKING:
    from agent.tracking.arrays import Floats, Ints

MODES = 3
CRUISE, TURN, STOP = range(MODES)
FIRST = (0.6, 0.3, 0.1)  # a new track's probabilities
HELD_FIRST_S = 80.0  # mean stay on a course that has just been taken up ...
HELD_MORE = 3.0  # ... and how much longer it is for each second that the course has been held, up to ...
HELD_MOST_S = 600.0
STAY_S = (40.0, 300.0)  # mean stay in TURN and STOP
CRUISE_SHARE = 0.03  # of the acceleration that is set, on a held course ...
TURN_SHARE = 3.0  # ... and in a manoeuvre, which is also how a vessel brakes
TURN_START = 0.08  # rad/s: one sigma of the rate with which a turn begins
TURN_Q = 2e-4  # rad^2/s^3: how a turn's rate wanders
TURN_MAX = 0.4  # rad/s
STOP_MPS = 0.25  # one sigma per axis of a stopped vessel's velocity: it swings at anchor
STOP_Q = 0.05  # m^2/s: and so does its place
NEGLIGIBLE = 0.05  # less than this share of a mode's past is left out of it, see _mix
_TINY = 1e-12

# Where a mode is left to: row from, column to, less the diagonal.
_LEAVE = np.array([[0.0, 0.85, 0.15], [0.8, 0.0, 0.2], [0.5, 0.5, 0.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Modes:
    """Modes of n tracks: `x` (n, 3, 5), `p` (n, 3, 5, 5), probabilities `mu` (n, 3).

    `held_s` (n,): for how long the course has been held, if it is held now; the mean over what may have been.
    """

    x: Floats
    p: Floats
    mu: Floats
    held_s: Floats

    def take(self, rows: Ints) -> Modes:
        """These rows."""
        return Modes(x=self.x[rows], p=self.p[rows], mu=self.mu[rows], held_s=self.held_s[rows])


def spread(x: Floats, p: Floats) -> Modes:
    """Modes of tracks that had one state so far, `x` (n, 4), `p` (n, 4, 4)."""
    n = len(x)
    mx, mp = np.zeros((n, MODES, 5)), np.zeros((n, MODES, 5, 5))
    mx[:, :, :4] = x[:, None]
    mp[:, :, :4, :4] = p[:, None]
    mp[:, :, 4, 4] = TURN_START**2
    _halt(mx[:, STOP], mp[:, STOP])
    return Modes(x=mx, p=mp, mu=np.tile(np.array(FIRST), (n, 1)), held_s=np.zeros(n))


def predict(m: Modes, dt_s: Floats, acceleration_mps2: float, *, mix: bool = True) -> Modes:
    """Predicted `dt_s` (n,) on, for an update: mixed before. A negative time step moves back and widens nothing."""
    m = _mix(m, np.maximum(dt_s, 0.0)) if mix else m
    x, p = (m.x, m.p) if mix else (m.x.copy(), m.p.copy())  # what was mixed is nobody else's
    cruise = np.full(len(x), (CRUISE_SHARE * acceleration_mps2) ** 2)
    x[:, CRUISE, :4], p[:, CRUISE, :4, :4] = kalman.predict(
        x[:, CRUISE, :4], p[:, CRUISE, :4, :4], dt_s, cruise
    )  # fmt: skip
    x[:, CRUISE, 4] = 0.0
    p[:, CRUISE, 4, :] = p[:, CRUISE, :, 4] = 0.0
    p[:, CRUISE, 4, 4] = TURN_START**2
    x[:, TURN], p[:, TURN] = _turned(x[:, TURN], p[:, TURN], dt_s, (TURN_SHARE * acceleration_mps2) ** 2)
    _halt(x[:, STOP], p[:, STOP])
    p[:, STOP, 0, 0] += STOP_Q * np.maximum(dt_s, 0.0)
    p[:, STOP, 1, 1] += STOP_Q * np.maximum(dt_s, 0.0)
    return Modes(x=x, p=p, mu=m.mu, held_s=m.held_s)


def combine(m: Modes) -> tuple[Floats, Floats]:
    """The mixture's states (n, 4) and covariances (n, 4, 4)."""
    x = (m.mu[:, :, None] * m.x[:, :, :4]).sum(axis=1)
    d = m.x[:, :, :4] - x[:, None]
    p = (m.mu[:, :, None, None] * (m.p[:, :, :4, :4] + d[:, :, :, None] * d[:, :, None, :])).sum(axis=1)
    return x, p


def widest(m: Modes, x: Floats) -> Floats:
    """Covariances (n, 4, 4) around the states `x` (n, 4) of a vessel that begins to manoeuvre just now: for gates."""
    d = m.x[:, TURN, :4] - x
    return np.asarray(m.p[:, TURN, :4, :4] + d[:, :, None] * d[:, None, :])


def likelihood(m: Modes, z: Floats, r: Floats) -> Floats:
    """Density (n, 3) of positions `z` (n, 2) with covariances `r` under each mode, in 1/m^2."""
    s00 = m.p[:, :, 0, 0] + r[:, None, 0, 0]
    s01 = m.p[:, :, 0, 1] + r[:, None, 0, 1]
    s11 = m.p[:, :, 1, 1] + r[:, None, 1, 1]
    det = s00 * s11 - s01 * s01
    v0, v1 = z[:, None, 0] - m.x[:, :, 0], z[:, None, 1] - m.x[:, :, 1]
    d2 = (v0 * v0 * s11 - 2.0 * v0 * v1 * s01 + v1 * v1 * s00) / det
    return np.asarray(np.exp(-0.5 * d2) / (2.0 * np.pi * np.sqrt(det)))


def update_position(m: Modes, z: Floats, r: Floats) -> Modes:
    """Update by one position per track."""
    like = likelihood(m, z, r)
    x, p = _each_position(m, z, r)
    return Modes(x=x, p=p, mu=_posterior(m.mu * like), held_s=m.held_s)


def update_bearing(m: Modes, bearing_rad: Floats, var_rad2: Floats) -> Modes:
    """Extended update by one true bearing from the site per track."""
    n = len(m.mu)
    x, p = m.x.reshape(-1, 5), m.p.reshape(-1, 5, 5)
    b, var = np.repeat(bearing_rad, MODES), np.repeat(var_rad2, MODES)
    h, s, _ = kalman.bearing_model(x, p)
    s = s + var
    like = (np.exp(-0.5 * kalman.wrap_pi(b - h) ** 2 / s) / np.sqrt(s)).reshape(n, MODES)
    x, p = kalman.update_bearing(x, p, b, var)
    mx, mp = x.reshape(n, MODES, 5), p.reshape(n, MODES, 5, 5)
    return Modes(x=mx, p=mp, mu=_posterior(m.mu * like), held_s=m.held_s)


def update_shared(m: Modes, row: Ints, z: Floats, r: Floats, beta: Floats) -> Modes:
    """Update by positions of which each is the track's own with a probability only (probabilistic data association).

    `row` (k,), ascending, says whose, and every track has one; `z` (k, 2), `r` (k, 2, 2); `beta` (k,) may add up to
    less than 1 per track: the rest is that none was. A mode's new state is the mean over these cases, its covariance
    holds their spread.
    """
    n = len(m.mu)
    own = m.take(row)
    like = likelihood(own, z, r)
    bayes = own.mu * like
    weight = beta[:, None] * bayes / np.maximum(bayes.sum(axis=1, keepdims=True), 1e-300)  # (k, 3): case and mode
    x, p = _each_position(own, z, r)
    none = np.maximum(1.0 - np.bincount(row, beta, n), 0.0)[:, None] * m.mu
    first = row.searchsorted(np.arange(n)) if len(row) > n else None
    mu = none + _sum(first, weight)
    share = weight / np.maximum(mu[row], _TINY)
    rest = none / np.maximum(mu, _TINY)
    mean = rest[:, :, None] * m.x + _sum(first, share[:, :, None] * x)
    d0, d = m.x - mean, x - mean[row]
    cov = rest[:, :, None, None] * (m.p + d0[:, :, :, None] * d0[:, :, None, :])
    cov += _sum(first, share[:, :, None, None] * (p + d[:, :, :, None] * d[:, :, None, :]))
    return Modes(x=mean, p=(cov + cov.swapaxes(2, 3)) / 2.0, mu=_posterior(mu), held_s=m.held_s)


def _sum(first: Ints | None, v: Floats) -> Floats:
    """Sums of `v` from each of `first` to the next; None: each stands alone."""
    return v if first is None else np.add.reduceat(v, first, axis=0)


def _each_position(m: Modes, z: Floats, r: Floats) -> tuple[Floats, Floats]:
    n = len(m.mu)
    x, p, _, _ = kalman.update_position(
        m.x.reshape(-1, 5), m.p.reshape(-1, 5, 5), np.repeat(z, MODES, axis=0), np.repeat(r, MODES, axis=0)
    )
    return x.reshape(n, MODES, 5), p.reshape(n, MODES, 5, 5)


def _posterior(mu: Floats) -> Floats:
    mu = np.maximum(mu, 1e-300)
    mu = mu / mu.sum(axis=1, keepdims=True)
    mu = np.maximum(mu, 1e-4)  # a mode never dies out altogether
    return np.asarray(mu / mu.sum(axis=1, keepdims=True))


def _mix(m: Modes, dt_s: Floats) -> Modes:
    """Each mode's start: the mixture of what may have led to it.

    What makes up less than `NEGLIGIBLE` of it is left out: a mode that is hardly possible would else, turn by turn,
    widen the likely one far beyond its own noise.
    """
    stay = np.empty((len(m.mu), MODES))
    stay[:, TURN:] = STAY_S
    stay[:, CRUISE] = HELD_FIRST_S + HELD_MORE * m.held_s
    leave = 1.0 - np.exp(-dt_s[:, None] / stay)  # (n, from)
    move = leave[:, :, None] * _LEAVE
    move.reshape(-1, MODES * MODES)[:, :: MODES + 1] = 1.0 - leave
    joint = m.mu[:, :, None] * move  # (n, from, to)
    mu = joint.sum(axis=1)
    w = (joint / mu[:, None, :]).swapaxes(1, 2)  # (n, to, from)
    held = np.minimum(w[:, CRUISE, CRUISE] * (m.held_s + dt_s), HELD_MOST_S)
    w = np.where(w < NEGLIGIBLE, 0.0, w)
    w /= w.sum(axis=2, keepdims=True)
    middle = m.x[:, CRUISE, None]  # of large numbers only differences are squared
    y = m.x - middle
    second = m.p + y[:, :, :, None] * y[:, :, None, :]
    mean = w @ y
    p = (w @ second.reshape(-1, MODES, 25)).reshape(m.p.shape) - mean[:, :, :, None] * mean[:, :, None, :]
    return Modes(x=mean + middle, p=p, mu=mu, held_s=held)


def _halt(x: Floats, p: Floats) -> None:
    """In place: no velocity, no turn."""
    x[:, 2:] = 0.0
    p[:, 2:, :] = 0.0
    p[:, :, 2:] = 0.0
    p[:, 2, 2] = p[:, 3, 3] = STOP_MPS**2
    p[:, 4, 4] = TURN_START**2


def _turned(x: Floats, p: Floats, dt_s: Floats, q: float) -> tuple[Floats, Floats]:
    w = np.minimum(np.maximum(x[:, 4], -TURN_MAX), TURN_MAX)
    a = w * dt_s
    sin, cos = np.sin(a), np.cos(a)
    small = np.abs(a) < 1e-4
    safe = np.where(small, 1.0, w)
    s = np.where(small, dt_s, sin / safe)  # integral of cos
    c = np.where(small, 0.5 * w * dt_s * dt_s, (1.0 - cos) / safe)  # integral of sin
    ds = np.where(small, -w * dt_s**3 / 3.0, (dt_s * cos - s) / safe)  # d s / d w
    dc = np.where(small, 0.5 * dt_s * dt_s, (dt_s * sin - c) / safe)
    ve, vn = x[:, 2], x[:, 3]
    out = np.empty_like(x)
    out[:, 0] = x[:, 0] + s * ve + c * vn
    out[:, 1] = x[:, 1] - c * ve + s * vn
    out[:, 2] = cos * ve + sin * vn
    out[:, 3] = cos * vn - sin * ve
    out[:, 4] = w
    f = np.zeros_like(p)
    for i in (0, 1, 4):
        f[:, i, i] = 1.0
    f[:, 0, 2] = f[:, 1, 3] = s
    f[:, 0, 3], f[:, 1, 2] = c, -c
    f[:, 2, 2] = f[:, 3, 3] = cos
    f[:, 2, 3], f[:, 3, 2] = sin, -sin
    f[:, 0, 4], f[:, 1, 4] = ds * ve + dc * vn, ds * vn - dc * ve
    f[:, 2, 4], f[:, 3, 4] = dt_s * (cos * vn - sin * ve), -dt_s * (sin * vn + cos * ve)
    cov = f @ p @ f.swapaxes(1, 2)
    back = dt_s < 0.0
    if back.any():
        cov[back] = p[back]
    d = np.maximum(dt_s, 0.0)
    flat, half = cov.reshape(-1, 25), (q * d * d / 2.0)[:, None]  # of 5x5: (i, j) stands at 5 i + j
    flat[:, 0:7:6] += (q * d**3 / 3.0)[:, None]  # east and north
    flat[:, 2:9:6] += half
    flat[:, 10:17:6] += half
    flat[:, 12:19:6] += (q * d)[:, None]  # their rates
    cov[:, 4, 4] += TURN_Q * d
    return out, (cov + cov.swapaxes(1, 2)) / 2.0
