"""The multipart parser: any split, any damage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.drivers.camera.jpeg import MultipartJpegs, boundary_of, jpeg_size
from agent.errors import UnsupportedError
from camera.mjpeg_server import BOUNDARY, jpeg, part

DELIMITER = b"--" + BOUNDARY.encode()
PICTURES = [jpeg(i) for i in range(4)]


def parsed(data: bytes, *, sizes: list[int] | None = None, delimiter: bytes = DELIMITER) -> tuple[list[bytes], int]:
    parser = MultipartJpegs(delimiter, max_part=100_000)
    pictures: list[bytes] = []
    at, turn = 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        pictures += parser.feed(data[at : at + size])
        at, turn = at + size, turn + 1
    return pictures, parser.errors


def test_pictures_with_a_length_come_at_once() -> None:
    pictures, errors = parsed(b"".join(map(part, PICTURES)))
    assert (pictures, errors) == (PICTURES, 0)


def test_pictures_without_a_length_come_with_the_next_boundary() -> None:
    data = b"".join(part(p, length=None) for p in PICTURES)
    assert parsed(data) == (PICTURES[:-1], 0)
    assert parsed(data + DELIMITER) == (PICTURES, 0)


@pytest.mark.parametrize("length", [1, 10, 99_999_999_999, 0])
def test_a_length_that_lies_is_not_believed(length: int) -> None:
    data = b"".join(part(p, length=length) for p in PICTURES) + DELIMITER
    assert parsed(data) == (PICTURES, 0)


def test_a_length_that_is_too_long_costs_no_picture_behind_it() -> None:
    data = part(PICTURES[0], length=len(PICTURES[0]) + 500) + b"".join(map(part, PICTURES[1:]))
    assert parsed(data) == (PICTURES, 0)


def test_a_part_cut_short_is_counted_and_the_next_one_comes() -> None:
    cut = part(PICTURES[0])[:300]
    pictures, errors = parsed(cut + b"\r\n" + part(PICTURES[1]) + part(PICTURES[2]))
    assert (pictures, errors) == (PICTURES[1:3], 1)


def test_garbage_between_parts_is_counted_and_passed_over() -> None:
    data = b"\x00garbage" * 50 + part(PICTURES[0]) + b"more garbage" + part(b"no picture") + part(PICTURES[1])
    pictures, errors = parsed(data + DELIMITER)
    assert pictures == PICTURES[:2]
    assert errors >= 3


def test_a_part_without_end_does_not_fill_the_memory() -> None:
    parser = MultipartJpegs(DELIMITER, max_part=100_000)
    parser.feed(part(b"\xff\xd8", length=None)[:-2])
    for _ in range(50):
        parser.feed(b"x" * 10_000)
        assert len(parser._buffer) <= 110_000 + len(DELIMITER)
    assert parser.feed(part(PICTURES[0])) == [PICTURES[0]]
    assert parser.errors >= 1


def test_headers_without_end_do_not_either() -> None:
    parser = MultipartJpegs(DELIMITER)
    for _ in range(50):
        parser.feed(DELIMITER + b"\r\n" + b"X" * 10_000)
        assert len(parser._buffer) <= 40_000
    parser.feed(b"\r\n")
    assert parser.feed(part(PICTURES[0])) == [PICTURES[0]]


@settings(deadline=None, max_examples=60)
@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from(PICTURES).map(part),
            st.sampled_from(PICTURES).map(lambda p: part(p, length=None)),
            st.sampled_from(PICTURES).map(lambda p: part(p)[:200]),
            st.binary(max_size=80),
            st.just(DELIMITER),
            st.just(b"\r\n\r\n"),
        ),
        max_size=8,
    ),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=5),
)
def test_any_split_gives_the_same_pictures(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)
    whole, _ = parsed(data)
    assert parsed(data, sizes=sizes)[0] == whole
    assert all(p in PICTURES for p in whole)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=frame", b"--frame"),
        ('multipart/x-mixed-replace;boundary="--frame"', b"--frame"),
        ("Multipart/X-Mixed-Replace; charset=x; Boundary=frame", b"--frame"),
        ("multipart/x-mixed-replace", b""),
    ],
)
def test_boundaries_as_cameras_write_them(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


def test_an_unnamed_boundary_is_learned() -> None:
    assert parsed(b"\r\n" + b"".join(map(part, PICTURES)), delimiter=b"") == (PICTURES, 0)


def test_an_answer_that_is_no_stream_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="text/html"):
        boundary_of("text/html; charset=utf-8")


def test_the_size_is_known_before_decoding() -> None:
    assert jpeg_size(jpeg(1, width=70, height=50)) == (70, 50)
    assert jpeg_size(b"\xff\xd8\xff\xc0") is None
    assert jpeg_size(b"\x89PNG") is None


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=300))
def test_the_size_of_garbage_is_found_without_harm(data: bytes) -> None:
    size = jpeg_size(b"\xff\xd8" + data)
    assert size is None or len(size) == 2
