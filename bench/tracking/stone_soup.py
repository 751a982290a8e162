"""Stone Soup on a scene, run by the interpreter of the peer: a scene as JSON on stdin, its tracks as JSON on stdout.

A tracker as its tutorials build it: constant velocity, converted measurements, GNN or JPDA with EHM; tracks start by
four associated points, end after six scans without one (JPDA: or when their covariance says that nobody knows).
"""

import datetime as dt
import json
import sys
import time

import numpy as np
from stonesoup.base import Property
from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
from stonesoup.dataassociator.probability import JPDAwithEHM2
from stonesoup.deleter.error import CovarianceBasedDeleter
from stonesoup.deleter.multi import CompositeDeleter
from stonesoup.deleter.time import UpdateTimeStepsDeleter
from stonesoup.hypothesiser.base import Hypothesiser
from stonesoup.hypothesiser.distance import DistanceHypothesiser
from stonesoup.hypothesiser.probability import PDAHypothesiser
from stonesoup.initiator.simple import MultiMeasurementInitiator
from stonesoup.measures import Mahalanobis
from stonesoup.models.measurement.linear import LinearGaussian
from stonesoup.models.transition.linear import CombinedLinearGaussianTransitionModel, ConstantVelocity
from stonesoup.predictor.kalman import KalmanPredictor
from stonesoup.tracker.simple import MultiTargetMixtureTracker, MultiTargetTracker
from stonesoup.types.detection import Detection
from stonesoup.types.state import GaussianState
from stonesoup.updater.kalman import KalmanUpdater

REACH_M = 600.0


class Near(Hypothesiser):
    """Hands on only plots near a track: its own gates would let none of the others in, but cost seconds a scan."""

    inner: Hypothesiser = Property()

    def hypothesise(self, track, detections, timestamp, **kwargs):
        x, vx, y, vy = np.asarray(track.state_vector, dtype=float).ravel()
        gone_s = (timestamp - track.timestamp).total_seconds()
        place = np.array([x + vx * gone_s, y + vy * gone_s])
        near = {
            d for d in detections if np.abs(np.asarray(d.state_vector, dtype=float).ravel() - place).max() < REACH_M
        }
        return self.inner.hypothesise(track, near, timestamp, **kwargs)


START = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - Stone Soup's own times are naive
ORDER = [0, 2, 1, 3]  # its state is (x, vx, y, vy)


def build(scene):
    predictor = KalmanPredictor(CombinedLinearGaussianTransitionModel([ConstantVelocity(scene["q"])] * 2))
    updater = KalmanUpdater(None)
    near = Near(DistanceHypothesiser(predictor, updater, Mahalanobis(), missed_distance=3.4))
    initiator = MultiMeasurementInitiator(
        prior_state=GaussianState([[0.0]] * 4, np.diag([0.0, 16.0**2, 0.0, 16.0**2]), timestamp=START),
        measurement_model=None, deleter=UpdateTimeStepsDeleter(3), data_associator=GNNWith2DAssignment(near),
        updater=updater, min_points=4,
    )  # fmt: skip
    lost = UpdateTimeStepsDeleter(6)
    if scene["associator"] == "gnn":
        return MultiTargetTracker(
            initiator=initiator, deleter=lost, detector=feed(scene), data_associator=GNNWith2DAssignment(near),
            updater=updater,
        )  # fmt: skip
    density = max(scene["clutter"], 0.5) / scene["area_m2"]
    likely = PDAHypothesiser(
        predictor, updater, clutter_spatial_density=density, prob_detect=scene["pd"], prob_gate=0.997
    )
    unknown = CovarianceBasedDeleter(covar_trace_thresh=2.0 * scene["lost_m"] ** 2, mapping=[0, 2])
    return MultiTargetMixtureTracker(
        initiator=initiator, deleter=CompositeDeleter([lost, unknown], intersect=False), detector=feed(scene),
        data_associator=JPDAwithEHM2(Near(likely)), updater=updater,
    )  # fmt: skip


def feed(scene):
    for t, rows in scene["scans"]:
        now = START + dt.timedelta(seconds=t)
        detections = set()
        for e, n, s00, s01, s11 in rows:
            model = LinearGaussian(4, [0, 2], np.array([[s00, s01], [s01, s11]]))
            detections.add(Detection(np.array([[e], [n]]), timestamp=now, measurement_model=model))
        yield now, detections


def main() -> None:
    scene = json.load(sys.stdin)
    names, out = {}, []
    began = time.process_time()
    for _, tracks in build(scene):
        row = []
        for track in tracks:
            number = names.setdefault(track.id, len(names) + 1)
            mean = np.asarray(track.state_vector, dtype=float).ravel()[ORDER]
            row.append([number, mean.tolist(), np.asarray(track.covar, dtype=float)[np.ix_(ORDER, ORDER)].tolist()])
        out.append(row)
    json.dump({"seconds": time.process_time() - began, "tracks": out}, sys.stdout)


main()
