"""What can leave a simulated radar, by name: each a stream of (t, datagram or sentence) in order of time.

Promises:
- `t` is seconds since the scenario's start, when the bytes leave; a stream never ends and depends on (scenario, seed,
  start time) alone;
- emissions of one radar show one sea and the same vessels: video on one grid is made once, and a vessel's fluctuation
  in a turn is the same on every grid;
- `group` and `port` are where a real device sends: the addresses in a capture and with `--multicast`; else everything
  live goes to the loopback.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from heapq import merge
from itertools import count
from typing import TYPE_CHECKING

from hardware_sim.geo import NM_M, polar
from hardware_sim.radar import (
    announcements,
    arpa,
    cat010,
    cat034,
    cat048,
    cat240,
    furuno,
    garmin,
    lwe,
    navico,
    navico_reports,
    raymarine,
    raymarine_rd,
)
from hardware_sim.radar.asterix import Source
from hardware_sim.radar.cat240 import Coding
from hardware_sim.radar.physics import BOLTZMANN_T0, Radar
from hardware_sim.radar.receiver import EIGHT_BITS, SEVEN_BITS, SIX_BITS, Logarithmic, Scale, SeaControlled, coloured
from hardware_sim.radar.video import Grid, Video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from hardware_sim.world import World

    Stream = Iterator[tuple[float, bytes]]

SOURCE = Source(25, 10)
SECTOR_CROSSINGS = 8
SECTORS = 64
ASTERIX_DELAY_S = 0.2
"""From the beam's passing to the plot's leaving."""
RADAR_ADDRESS = "192.168.1.20"
"""Whose traffic a capture is."""


class Station:
    """A radar of a run: the world, when it starts, and video that several emissions share.

    `prepare` makes the video of emissions, which takes a second or two each, before time runs; `start_unix_s`, `ip`
    (the radar's address) and `standby` (whether it is, at a time) may be set until a stream is asked for.
    """

    def __init__(self, world: World, start_unix_s: float = 0.0) -> None:
        self.world = world
        self.start_unix_s = start_unix_s
        self.table = world.scenario.radar
        self.turn_s = 60.0 / self.table.rpm
        self.ip = RADAR_ADDRESS
        self.standby: Callable[[float], bool] = lambda _: False
        self._videos: dict[Grid, Video] = {}

    def prepare(self, names: tuple[str, ...]) -> None:
        """Make the video that these emissions need."""
        for name in names:
            grid = EMISSIONS[name].grid
            if grid is not None:
                self.video(grid(self))

    def video(self, grid: Grid) -> Video:
        """The video on that grid."""
        if grid not in self._videos:
            self._videos[grid] = Video(self.world, grid)
        return self._videos[grid]

    def fine_grid(self) -> Grid:
        """2,048 spokes of 1,024 cells over the scenario's range, in 64 sectors."""
        return Grid(
            spokes=navico.SPOKES_PER_TURN,
            cells=navico.SAMPLES,
            range_m=self.table.range_m,
            sectors=navico.DATAGRAMS_PER_TURN,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """One kind of output. `serial`: it leaves by a serial line, not as datagrams. `grid`: of its video, if any.

    `in_standby`: it goes on in standby, and its stream heeds `Station.standby` itself.
    """

    what: str
    stream: Callable[[Station], Stream]
    grid: Callable[[Station], Grid] | None = None
    group: str = "239.255.0.1"
    port: int = 21_131
    serial: bool = False
    in_standby: bool = False


def _navico(station: Station, model: navico.Model) -> Stream:
    video = station.video(station.fine_grid())
    receiver = SeaControlled(video.mean_clutter)
    heading = navico.heading_word(station.table.heading_deg)
    table = station.table
    for index in count():
        samples = receiver.samples(video.sector(index))
        if model == "halo" and table.doppler != "off":
            samples = coloured(samples, video.radial_mps(index), table.doppler_from_mps, table.doppler)
        first = index * navico.SPOKES_PER_DATAGRAM
        block = navico.datagram(samples, first, round(station.table.range_m), heading, model)
        yield (index + 1) / navico.DATAGRAMS_PER_TURN * station.turn_s, block


def _cat240(station: Station, coding: Coding) -> Stream:
    """A summary each turn, then a message (or several) for each spoke as it ends."""
    grid = station.fine_grid()
    video = station.video(grid)
    receiver = Logarithmic() if coding.bits == 8 else SeaControlled(video.mean_clutter)
    numbers = cat240.sequence_numbers()
    text = f"{grid.spokes} x {grid.cells} x {coding.bits} bit, {grid.range_m:.0f} m"
    for index in count():
        turn, sector = divmod(index, grid.sectors)
        if sector == 0:
            yield turn * station.turn_s, cat240.summary(SOURCE, next(numbers), text)
        samples = receiver.samples(video.sector(index))
        for row in range(grid.rows):
            spoke = sector * grid.rows + row
            t = (turn + (spoke + 1) / grid.spokes) * station.turn_s
            start = station.table.heading_deg + (spoke - 0.5) * grid.spoke_deg  # the beam's axis is in the middle
            radial = cat240.Radial(
                unix_s=station.start_unix_s + t,
                start_deg=start,
                end_deg=start + grid.spoke_deg,
                cell_m=grid.cell_m,
                samples=samples[row],
            )
            yield from ((t, message) for message in cat240.messages(SOURCE, numbers, radial, coding))


def _garmin_grid(station: Station) -> Grid:
    last = round(round(station.table.range_m) * garmin.OVERSCAN)
    return Grid(spokes=garmin.SPOKES_PER_TURN, cells=garmin.SAMPLES, range_m=float(last), sectors=48)


def _garmin(station: Station) -> Stream:
    grid = _garmin_grid(station)
    receiver = SeaControlled(station.video(grid).mean_clutter, EIGHT_BITS)
    selected, last = round(station.table.range_m), round(grid.range_m)
    for t, spoke, samples in _spokes(station, grid, receiver):
        yield t, garmin.spoke(samples, spoke, selected, last)


_QUANTUM_RANGES_M = [r * NM_M / 1000.0 for r in raymarine.RANGES_MILLI_NM]


def _raymarine_grid(station: Station) -> Grid:
    selected_m = _QUANTUM_RANGES_M[_reaching(_QUANTUM_RANGES_M, station.table.range_m)]
    last_m = selected_m * raymarine.SAMPLES / raymarine.SAMPLES_IN_RANGE
    return Grid(spokes=raymarine.SPOKES_PER_TURN, cells=raymarine.SAMPLES, range_m=last_m, sectors=50)


def _raymarine(station: Station) -> Stream:
    """A status each turn, before the spokes that it explains."""
    grid = _raymarine_grid(station)
    index = _reaching(_QUANTUM_RANGES_M, station.table.range_m)
    scale = Scale(first=EIGHT_BITS.first, step_db=EIGHT_BITS.step_db, top=raymarine.TOP)
    receiver = SeaControlled(station.video(grid).mean_clutter, scale)
    for sequence, (t, spoke, samples) in enumerate(_spokes(station, grid, receiver, doppler=True)):
        standby = station.standby(t)
        if spoke == 0:
            yield t, raymarine.status(index, transmits=not standby)
        if not standby:
            yield t, raymarine.spoke(samples, sequence, spoke)


_RD_RANGES_M = [r * NM_M / 1000.0 for r in raymarine_rd.RANGES_MILLI_NM]


def _rd_grid(station: Station, *, hd: bool) -> Grid:
    selected_m = _RD_RANGES_M[_reaching(_RD_RANGES_M, station.table.range_m / raymarine_rd.REACH)]
    return Grid(
        spokes=raymarine_rd.SPOKES_PER_TURN,
        cells=raymarine_rd.SAMPLES_HD if hd else raymarine_rd.SAMPLES,
        range_m=selected_m * raymarine_rd.REACH,
        sectors=SECTORS,
    )


def _rd(station: Station, *, hd: bool) -> Stream:
    """A status each turn, before the spokes that it explains."""
    grid = _rd_grid(station, hd=hd)
    video = station.video(grid)
    receiver = SeaControlled(video.mean_clutter, SEVEN_BITS) if hd else SeaControlled(video.mean_clutter)
    index = _reaching(_RD_RANGES_M, station.table.range_m / raymarine_rd.REACH)
    step = raymarine_rd.SPOKES_PER_FRAME
    for sector in count():
        t = (sector + 1) / grid.sectors * station.turn_s
        standby = station.standby(t)
        if sector % grid.sectors == 0:
            yield t, raymarine_rd.status(index, hd=hd, transmits=not standby)
        if standby:
            continue
        samples = receiver.samples(video.sector(sector))
        for row in range(0, grid.rows, step):
            yield t, raymarine_rd.frame(samples[row : row + step], sector * grid.rows + row, hd=hd)


_FURUNO_RANGES_M = [r * NM_M for r in furuno.RANGES_NM.values()]


def _furuno_grid(station: Station) -> Grid:
    selected_m = _FURUNO_RANGES_M[_reaching(_FURUNO_RANGES_M, station.table.range_m)]
    last_m = selected_m * furuno.SAMPLES / furuno.SAMPLES_IN_RANGE
    return Grid(spokes=furuno.SPOKES_PER_TURN, cells=furuno.SAMPLES, range_m=last_m, sectors=SECTORS)


def _furuno(station: Station, coding: furuno.Coding = 3) -> Stream:
    grid = _furuno_grid(station)
    video = station.video(grid)
    receiver = SeaControlled(video.mean_clutter, SIX_BITS)
    wire = list(furuno.RANGES_NM)[_reaching(_FURUNO_RANGES_M, station.table.range_m)]
    encoder = furuno.Encoder(wire, coding)
    step = furuno.ANGLES // grid.spokes
    for index in count():
        sweeps = receiver.samples(video.sector(index))
        t = (index + 1) / grid.sectors * station.turn_s
        first = index % grid.sectors * grid.rows * step
        yield from ((t, data) for data in encoder.datagrams(sweeps, first, step))


def _spokes(
    station: Station, grid: Grid, receiver: SeaControlled, *, doppler: bool = False
) -> Iterator[tuple[float, int, NDArray[np.uint8]]]:
    """(t, number within the turn, samples) of each spoke as it ends; `doppler`: of a radar that has it."""
    video, table = station.video(grid), station.table
    for index in count():
        turn, sector = divmod(index, grid.sectors)
        samples = receiver.samples(video.sector(index))
        if doppler and table.doppler != "off":
            speeds = video.radial_mps(index)
            samples = coloured(samples, speeds, table.doppler_from_mps, table.doppler, raymarine.APPROACHING)
        for row in range(grid.rows):
            spoke = sector * grid.rows + row
            yield (turn + (spoke + 1) / grid.spokes) * station.turn_s, spoke, samples[row]


def _reaching(ranges_m: Sequence[float], wanted_m: float) -> int:
    """Which of a radar's ranges (shortest first) shows that far; the longest where none does."""
    return next((i for i, r in enumerate(ranges_m) if r >= wanted_m), len(ranges_m) - 1)


def _by_time(station: Station, turn_items: Callable[[int, arpa.Turn], list[tuple[float, bytes]]]) -> Stream:
    """What each turn leads to, in order of time from 0 on, a turn late at most."""
    pending: list[tuple[float, bytes]] = []
    for turn, said in arpa.turns(station.world):
        pending = sorted([*pending, *turn_items(turn, said)], key=lambda item: item[0])
        done = [item for item in pending if item[0] <= turn * station.turn_s]
        pending = pending[len(done) :]
        yield from (item for item in done if item[0] >= 0.0)


def _cat048(station: Station) -> Stream:
    table = station.table
    radar = Radar(table)
    noise_dbm = 10.0 * math.log10(BOLTZMANN_T0 * table.bandwidth_hz * 1000.0) + table.noise_and_loss_db
    site = station.world.scenario.site

    def target(plot: arpa.RadarPlot | None, place: tuple[float, float], t_s: float) -> cat048.Target:
        range_m, azimuth = polar(*place)
        wide = (
            None if plot is None else min(11.0, radar.table.beam_width_deg * (1.0 + math.log10(1.0 + plot.snr)) / 2.0)
        )
        return cat048.Target(
            unix_s=station.start_unix_s + t_s,
            range_m=range_m,
            azimuth_deg=azimuth,
            run_length_deg=wide,
            amplitude_dbm=None if plot is None else noise_dbm + 10.0 * math.log10(plot.snr),
            detected=plot is not None,
        )

    def items(turn: int, said: arpa.Turn) -> list[tuple[float, bytes]]:
        out = [
            (p.t_s + ASTERIX_DELAY_S, cat048.targets(SOURCE, [target(p, (p.east_m, p.north_m), p.t_s)]))
            for p in said.loose
        ]
        for r in said.reports:
            place = (r.east_m, r.north_m) if r.plot is None else (r.plot.east_m, r.plot.north_m)
            tracked = replace(target(r.plot, place, r.t_s), track=_track(r))
            out.append((r.t_s + ASTERIX_DELAY_S, cat048.targets(SOURCE, [tracked])))
        for k in range(SECTOR_CROSSINGS):
            azimuth = 360.0 * k / SECTOR_CROSSINGS
            t = (turn + (azimuth - table.heading_deg) % 360.0 / 360.0) * station.turn_s
            unix_s = station.start_unix_s + t
            where = (site.lat, site.lon, table.height_m)
            mark = cat034.sector_crossing(SOURCE, unix_s, azimuth)
            out.append((t, cat034.north_marker(SOURCE, unix_s, station.turn_s, where) if k == 0 else mark))
        return out

    return _by_time(station, items)


def _cat010(station: Station) -> Stream:
    def target(r: arpa.TargetReport) -> cat010.Target:
        range_m, azimuth = polar(r.east_m, r.north_m)
        _, course = polar(r.v_east, r.v_north)
        loudness = None if r.plot is None else min(255, max(0, round(40.0 + 4.0 * 10.0 * math.log10(r.plot.snr))))
        return cat010.Target(
            unix_s=station.start_unix_s + r.t_s,
            range_m=range_m,
            azimuth_deg=azimuth,
            size_m=None if r.plot is None else r.plot.size_m,
            orientation_deg=course,
            amplitude=loudness,
            track=_track(r),
        )

    def items(turn: int, said: arpa.Turn) -> list[tuple[float, bytes]]:
        t = turn * station.turn_s
        out = [(t, cat010.start_of_cycle(SOURCE, station.start_unix_s + t))]
        if turn % 4 == 0:
            out.append((t, cat010.periodic_status(SOURCE, station.start_unix_s + t, operational=True)))
        return out + [(r.t_s + ASTERIX_DELAY_S, cat010.targets(SOURCE, [target(r)])) for r in said.reports]

    return _by_time(station, items)


def _track(r: arpa.TargetReport) -> cat048.Track:
    speed, course = polar(r.v_east, r.v_north)
    return cat048.Track(
        number=r.number, speed_mps=speed, course_deg=course, tentative=r.status == "Q", ended=r.status == "L"
    )


def _line(*kinds: str) -> Emission:
    """Target sentences on a serial line."""

    def stream(station: Station) -> Stream:
        return arpa.sentences(station.world, station.start_unix_s, kinds)

    what = f"NMEA 0183 {' and '.join(kinds)} on a serial line, {arpa.LINE_BAUD} baud"
    return Emission(what=what, stream=stream, serial=True)


def _network(station: Station) -> Stream:
    """TTM and TLL of each target, one datagram each turn and target."""
    talker = lwe.Talker()
    for t, report in arpa.reports(station.world):
        both = [arpa.ttm(report, station.start_unix_s), arpa.tll(report, station.world, station.start_unix_s)]
        yield t, talker.datagram(both, unix_ms=round((station.start_unix_s + t) * 1000.0))


def _coded(what: str, coding: Coding) -> Emission:
    return Emission(what=what, stream=partial(_cat240, coding=coding), grid=Station.fine_grid, group="232.1.1.31")


def _old_furuno(coding: furuno.Coding) -> Emission:
    return replace(
        EMISSIONS_OF_VIDEO["furuno"],
        what=f"Furuno spokes, coding {coding}, which no capture confirms",
        stream=partial(_furuno, coding=coding),
    )


def _beside(what: str, stream: Callable[[Station], Stream], place: tuple[str, int]) -> Emission:
    """Beacons or reports."""
    return Emission(what=what, stream=stream, group=place[0], port=place[1], in_standby=True)


def _navico_beside(name: str, model: navico.Model) -> dict[str, Emission]:
    beacon = (navico_reports.BEACON_GROUP, navico_reports.BEACON_PORT)
    reports = navico_reports.IDENTITIES[model].address("report")
    what = "HALO" if model == "halo" else "4G"
    return {
        f"{name}-beacon": _beside(
            f"Navico {what} discovery beacons", partial(announcements.navico_beacons, model=model), beacon
        ),
        f"{name}-reports": _beside(
            f"Navico {what} state and settings", partial(announcements.navico_status, model=model), reports
        ),
    }


_RAYMARINE_BEACONS = (raymarine.BEACON_GROUP, raymarine.BEACON_PORT)
EMISSIONS_OF_VIDEO: dict[str, Emission] = {
    "ttm": _line("TTM"),
    "tll": _line("TLL"),
    "ttm-tll": _line("TTM", "TLL"),
    "network": Emission(
        what="TTM and TLL in IEC 61162-450 datagrams", stream=_network, group="239.192.0.2", port=lwe.TARGET_PORT
    ),
    "spokes": Emission(
        what="Navico HALO spokes",
        stream=partial(_navico, model="halo"),
        grid=Station.fine_grid,
        group="236.6.9.51",
        port=7059,
    ),
    "navico-4g": Emission(
        what="Navico 4G spokes",
        stream=partial(_navico, model="4g"),
        grid=Station.fine_grid,
        group="236.6.7.8",
        port=6678,
    ),
    "garmin": Emission(what="Garmin xHD spokes", stream=_garmin, grid=_garmin_grid, group="239.254.2.0", port=50_102),
    "raymarine": Emission(
        what="Raymarine Quantum spokes and status",
        stream=_raymarine,
        grid=_raymarine_grid,
        group=announcements.QUANTUM_PLACE[0],
        port=announcements.QUANTUM_PLACE[1],
        in_standby=True,
    ),
    **{
        name: Emission(
            what=f"Raymarine RD spokes and status, {what}",
            stream=partial(_rd, hd=hd),
            grid=partial(_rd_grid, hd=hd),
            group=announcements.RD_PLACE[0],
            port=announcements.RD_PLACE[1],
            in_standby=True,
        )
        for name, what, hd in (("raymarine-rd", "4 bit", False), ("raymarine-rd-hd", "HD", True))
    },
    "furuno": Emission(
        what="Furuno DRS spokes, coding 3", stream=_furuno, grid=_furuno_grid, group="239.255.0.2", port=10_024
    ),
    "cat240": _coded("ASTERIX CAT240 video, 8 bit logarithmic, femtosecond cells", Coding()),
    "cat240-4bit": _coded("ASTERIX CAT240 video, 4 bit behind sea control", Coding(bits=4)),
    "cat240-zlib": _coded("ASTERIX CAT240 video, 8 bit, deflated", Coding(compressed=True)),
    "cat240-split": _coded("ASTERIX CAT240 video, 8 bit, a radial in three messages", Coding(max_cells=400)),
    "cat240-nano": _coded("ASTERIX CAT240 video, 8 bit, nanosecond cells", Coding(nano=True)),
    "cat048": Emission(what="ASTERIX CAT048 plots and tracks, CAT034 markers", stream=_cat048, group="225.1.0.1"),
    "cat010": Emission(what="ASTERIX CAT010 tracks", stream=_cat010, group="225.1.0.1"),
}
EMISSIONS = {
    **EMISSIONS_OF_VIDEO,
    "furuno-0": _old_furuno(0),
    "furuno-1": _old_furuno(1),
    "furuno-2": _old_furuno(2),
    **_navico_beside("halo", "halo"),
    **_navico_beside("navico-4g", "4g"),
    "garmin-reports": _beside(
        "Garmin xHD state and range", announcements.garmin_reports, ("239.254.2.0", garmin.REPORT_PORT)
    ),
    "raymarine-beacon": _beside(
        "Raymarine Quantum discovery beacons",
        partial(announcements.raymarine_beacons, kind=raymarine.QUANTUM),
        _RAYMARINE_BEACONS,
    ),
    "raymarine-rd-beacon": _beside(
        "Raymarine RD discovery beacons",
        partial(announcements.raymarine_beacons, kind=raymarine.RD),
        _RAYMARINE_BEACONS,
    ),
}
"""By name."""


def merged(station: Station, names: tuple[str, ...]) -> Iterator[tuple[float, str, bytes]]:
    """(t, name, bytes) of several emissions in order of time."""

    def named(name: str) -> Iterator[tuple[float, str, bytes]]:
        return ((t, name, data) for t, data in EMISSIONS[name].stream(station))

    return merge(*(named(n) for n in names), key=lambda item: item[0])
