"""Damaged WARC files: one failure per damaged place, and every whole record still read."""

from __future__ import annotations

import gzip
import zlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.readers.warc import WarcReader
from curate.steps import Failure

from .test_warc import ARC, CONTAINERS, arc_record, arrow
from .warc_files import PAGE, http, ids, members, page, read, reasons, record, record_id

PACKED = [name for name in CONTAINERS if "per record" in name]


def stored(data: bytes) -> bytes:
    """Return a gzip member whose bytes are not compressed: a flip in them breaks the checksum."""
    packer = zlib.compressobj(0, wbits=31)
    return packer.compress(data) + packer.flush()


def flip(data: bytes, at: int, bits: int = 0xFF) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


@pytest.mark.parametrize("container", PACKED)
def test_a_damaged_member_is_one_failure_at_its_offset(container: str) -> None:
    parts = [CONTAINERS[container]([page(n, bytes(range(256)) * 9)]) for n in range(5)]
    # Near its start: zstd and lz4 may go without a checksum, and damage in text goes unseen.
    parts[2] = parts[2][:7] + b"\xff" * 60 + parts[2][67:]
    entries = read(b"".join(parts))
    failures = [(doc, fate) for doc, fate in entries if fate]
    assert [doc.id for doc, fate in entries if not fate] == [record_id(n) for n in (0, 1, 3, 4)]
    ((doc, fate),) = failures
    codec = container.split()[0]
    assert isinstance(fate, Failure) and fate.reason == f"{codec}_damaged"
    assert doc.metadata["offset"] == len(parts[0] + parts[1])


def test_a_damaged_member_is_named_where_its_head_survived() -> None:
    first, second = members([page(1, bytes(range(256)) * 20), page(2)])
    (doc, _), _ = read(flip(first, len(first) - 6) + second)
    assert doc.id == record_id(1)
    assert doc.metadata["url"] == "http://example.org/1"
    assert doc.payload is None


def test_a_flipped_letter_is_seen_by_the_checksum() -> None:
    letter = stored(page(1)).index(b"Some text")
    assert reasons(flip(stored(page(1)), letter, 1) + stored(page(2))) == ["gzip_damaged", ""]


def test_in_a_member_of_many_records_those_before_the_damage_are_read() -> None:
    data = gzip.compress(b"".join(page(n, bytes(range(256)) * 40) for n in range(9)), mtime=0)
    fates = reasons(flip(data, len(data) // 2) + gzip.compress(page(20)))
    assert fates.count("gzip_damaged") == 1
    assert fates[:2] == ["", ""]
    assert fates[-1] == ""


def test_a_file_whose_first_bytes_are_damaged_is_still_read() -> None:
    first, *rest = members([page(n) for n in range(3)])
    for at in range(10):
        assert ids(flip(first, at) + b"".join(rest))[-2:] == [record_id(1), record_id(2)]


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_clipped_file_ends_in_one_failure(container: str) -> None:
    parts = [page(n, bytes(range(256)) * 9) for n in range(3)]
    data = CONTAINERS[container](parts)
    entries = read(data[: len(data) - 20] if container != "plain" else data[:-200])
    *whole, (doc, fate) = entries
    assert isinstance(fate, Failure) and fate.reason == "clipped"
    assert doc.payload is None
    assert len(whole) in (2, 0 if container.startswith("one") else 2)


def test_a_clipped_record_is_named_and_keeps_no_bytes() -> None:
    first, second = members([page(1), page(2, bytes(range(256)) * 20)])
    _, (doc, fate) = read(first + second[:-3])
    assert fate is not None and fate.reason == "clipped"
    assert (doc.id, doc.payload, doc.metadata["offset"]) == (record_id(2), None, len(first))


@pytest.mark.parametrize("container", ["plain", "gzip per record", "one gzip member"])
@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (len(http()) - 10, "wrong_length"),
        (len(http()) + 10, "wrong_length"),
        (10_000, "wrong_length"),
        (10**9, "wrong_length"),
        (10**30, "bad_length"),
        ("12a", "bad_length"),
        (-1, "bad_length"),
        ("", "bad_length"),
    ],
)
def test_a_wrong_length_costs_one_record(container: str, length: object, reason: str) -> None:
    wrong = record(http(), number=1, length=length)
    records = [page(0), wrong, page(2), page(3, PAGE * 200)]
    data = CONTAINERS[container](records)
    assert reasons(data) == ["", reason, "", ""]
    assert read(data)[1][0].id == record_id(1)


def test_a_wrong_length_in_the_last_record_reads_as_clipped() -> None:
    assert reasons(page(1) + record(http(), length=10_000)) == ["", "clipped"]


@pytest.mark.parametrize("container", ["plain", "gzip per record", "one gzip member"])
def test_garbage_between_records_is_one_failure(container: str) -> None:
    data = CONTAINERS[container]([page(0), b"THIS IS\n\nGARBAGE\r\n" * 99, page(1)])
    assert reasons(data) == ["", "garbage", ""]


@pytest.mark.parametrize("garbage", [b"\0" * 1000, b"\n\n", b"\x1f\x8b", b"\x1f\x8b\x08" * 9, PAGE])
def test_garbage_between_members_is_one_failure(garbage: bytes) -> None:
    first, second = members([page(0), page(1)])
    (_, _), (doc, fate), (last, _) = read(first + garbage + second)
    assert isinstance(fate, Failure)
    assert doc.metadata["offset"] == len(first)
    assert last.id == record_id(1)


def test_zeros_after_the_last_member_are_one_failure() -> None:
    assert reasons(members([page(0)])[0] + bytes(5000)) == ["", "garbage"]


def test_heads_that_cannot_be_used_are_one_failure_each() -> None:
    typeless = page(1).replace(b"WARC-Type: response\r\n", b"")
    endless = record(http(), fields=[("X-Long", "x" * 100_000)])
    assert reasons(page(0) + typeless + page(2)) == ["", "bad_header", ""]
    assert reasons(page(0) + endless + page(2)) == ["", "bad_header", ""]


@pytest.mark.parametrize("container", ["plain", "gzip per record", "one gzip member"])
@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"WARC-Type: response\r\nContent-Length: 7\r\n", "wrong_length"),
        (b"WARC-Type: response\r\nContent-Length: 1000000000\r\n", "wrong_length"),
        (b"WARC-Type: response\r\nContent-Length: -5\r\n", "bad_length"),
        (b"Content-Length: 0\r\n", "bad_header"),
    ],
)
def test_a_head_without_its_block_costs_no_other_record(
    container: str, head: bytes, reason: str
) -> None:
    alone = b"WARC/1.0\r\n" + head + b"\r\n"
    data = CONTAINERS[container]([alone, page(1), page(2), alone, alone, page(3)])
    entries = read(data)
    fates = [fate.reason if fate else doc.id for doc, fate in entries]
    pages = [record_id(number) for number in (1, 2, 3)]
    assert fates == [reason, *pages[:2], reason, reason, pages[2]]


def test_garbage_before_the_first_record_costs_nothing_else() -> None:
    assert reasons(b"\xef\xbb\xbf junk\n" + page(1)) == ["garbage", ""]


def test_a_record_spread_over_members_is_read() -> None:
    whole = page(1, bytes(range(256)) * 9)
    data = b"".join(gzip.compress(whole[at : at + 500]) for at in range(0, len(whole), 500))
    assert ids(data + gzip.compress(page(2))) == [record_id(1), record_id(2)]


def test_a_saved_warc_within_a_page_is_no_record() -> None:
    inner = b"<pre>\n" + page(7) + page(8)
    assert ids(page(1, inner) + page(2)) == [record_id(1), record_id(2)]


def test_damaged_arc_files_go_on_at_the_next_record() -> None:
    good = arc_record("http://example.org/1", http())
    long = good.replace(b" %d\n" % len(http()), b" 99999\n")
    odd = good.replace(b" %d\n" % len(http()), b" abc\n")
    assert reasons(ARC + good + long + good) == ["", "wrong_length", ""]
    assert reasons(ARC + good + odd + good) == ["", "bad_length", ""]
    assert reasons(ARC + good + b"\njunk\n" + good) == ["", "garbage", ""]
    assert reasons(ARC + good + good[:-20]) == ["", "clipped"]
    packed = members([ARC, good, good, good])
    packed[2] = flip(packed[2], 40)
    assert reasons(b"".join(packed)) == ["", "gzip_damaged", ""]


def test_zstd_with_a_dictionary_is_refused_once() -> None:
    skippable = b"\x5d\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"dict"
    frame = bytearray(pa.Codec("zstd").compress(page(1), asbytes=True))
    frame[4] |= 1
    assert reasons(skippable + bytes(frame) * 3) == ["needs_dictionary"]
    assert reasons(bytes(frame) * 3) == ["needs_dictionary"]


def test_frames_that_may_be_skipped_are() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    assert reasons(skippable + arrow("zstd")(page(1))) == [""]


DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255), st.integers(1, 30)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(PACKED),
    st.lists(st.binary(max_size=400), min_size=1, max_size=10),
    DAMAGE,
    st.floats(0, 1),
)
def test_whatever_is_flipped_or_cut_every_untouched_record_is_read(
    container: str, bodies: list[bytes], damage: list[tuple[float, int, int]], cut: float
) -> None:
    parts = [CONTAINERS[container]([page(n, b"<p>" + body)]) for n, body in enumerate(bodies)]
    data = bytearray(b"".join(parts))
    touched = set()
    ends = [sum(map(len, parts[: n + 1])) for n in range(len(parts))]
    for place, bits, count in damage:
        for at in range(int(place * len(data)), min(len(data), int(place * len(data)) + count)):
            data[at] ^= bits
            touched.add(sum(end <= at for end in ends))
    size = int(len(data) * (0.5 + cut / 2))
    whole = {n for n in range(len(parts)) if ends[n] <= size} - touched
    entries = read(bytes(data[:size]))
    assert {record_id(n) for n in whole} <= {doc.id for doc, fate in entries if fate is None}
    failures = [fate for _, fate in entries if isinstance(fate, Failure)]
    assert len(failures) <= 2 * (len(touched) + 1)
    assert len(entries) <= len(parts) + len(failures)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=6), DAMAGE)
def test_no_damage_to_a_plain_file_raises(
    bodies: list[bytes], damage: list[tuple[float, int, int]]
) -> None:
    data = bytearray(b"".join(page(n, b"<p>" + body) for n, body in enumerate(bodies)))
    for place, bits, count in damage:
        for at in range(int(place * len(data)), min(len(data), int(place * len(data)) + count)):
            data[at] ^= bits
    assert len(read(bytes(data))) <= 2 * len(bodies) + len(damage)


@given(st.binary(max_size=2000))
def test_random_bytes_never_raise(data: bytes) -> None:
    for start in (
        b"",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"WARC/1.0\r\nA:",
    ):
        assert all(fate for _, fate in read(start + data, WarcReader("x")))
