"""Changes to finished recordings: stale headers, dropped chunks, cuts, damage.

Each edit changes a file in place.
"""

import random
import struct
from collections.abc import Callable
from pathlib import Path

from scripts.footage.tools import packets

NEAR = 6
"""Packets among which the largest is damaged."""
Edit = Callable[[Path, random.Random], None]


def cut(share: float) -> Edit:
    """Return an edit that ends a file at a random byte, near a share of its length."""

    def edit(path: Path, chance: random.Random) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * (share + chance.uniform(-0.1, 0.1)))])

    return edit


def damage(share: float, *, key: bool = False, whole: bool = False) -> Edit:
    """Return an edit that overwrites a packet with random bytes.

    Args:
        share: Where in the recording, from 0 to 1.
        key: Take the nearest packet at which decoding begins. By default it is the largest nearby
            packet at which decoding does not begin, as others need it.
        whole: Overwrite all of the packet; by default only its middle half.
    """

    def edit(path: Path, chance: random.Random) -> None:
        found = packets(path)
        wanted = [i for i, packet in enumerate(found) if packet.key == key] or range(len(found))
        near = sorted(wanted, key=lambda i: abs(i - share * len(found)))[:NEAR]
        packet = found[near[0] if key else max(near, key=lambda i: found[i].size)]
        start = locate(path, packet.position, packet.size)
        first, count = (0, packet.size) if whole else (packet.size // 4, packet.size // 2)
        data = bytearray(path.read_bytes())
        data[start + first : start + first + count] = chance.randbytes(count)
        path.write_bytes(data)

    return edit


def locate(path: Path, position: int, size: int) -> int:
    """Return where the bytes of a packet begin: containers put a header of their own before it."""
    return position + {".mkv": 4, ".webm": 4, ".ts": 32, ".mpg": 32}.get(path.suffix, 0)


def empty(path: Path, _: random.Random) -> None:
    """Leave no byte."""
    path.write_bytes(b"")


def no_video(path: Path, _: random.Random) -> None:
    """Leave text in place of a recording."""
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def stale_avi(count: int) -> Edit:
    """Return an edit that lets the header of an AVI say another number of frames."""

    def edit(path: Path, _: random.Random) -> None:
        data = bytearray(path.read_bytes())
        for tag, offset in ((b"avih", 24), (b"strh", 40)):
            place = data.find(tag) + offset
            data[place : place + 4] = struct.pack("<I", count)
        path.write_bytes(data)

    return edit


def avi_chunks(data: bytes) -> tuple[int, list[tuple[bytes, bytes, int]]]:
    """Take apart the pictures and sounds of an AVI.

    Returns:
        Where its list of chunks begins, after the word `movi`, and for each chunk its name, its
        bytes and its flags in the index.
    """
    start = data.find(b"movi", data.find(b"LIST", data.find(b"avih"))) + 4
    size = struct.unpack("<I", data[start - 8 : start - 4])[0]
    place, end = start, start + size - 4
    found: list[tuple[bytes, bytes, int]] = []
    index = data.find(b"idx1", end) + 8
    while place < end:
        name, length = struct.unpack("<4sI", data[place : place + 8])
        flags = struct.unpack(
            "<I", data[index + 16 * len(found) + 4 : index + 16 * len(found) + 8]
        )[0]
        found.append((name, data[place + 8 : place + 8 + length], flags))
        place += 8 + length + length % 2
    return start, found


def rebuilt_avi(
    data: bytes, start: int, chunks: list[tuple[bytes, bytes, int]], *, index: bool = True
) -> bytes:
    """Put an AVI together from other chunks, with a header and an index that fit."""
    head = bytearray(data[:start])
    body, entries = b"", b""
    for name, content, flags in chunks:
        entries += struct.pack("<4sIII", name, flags, len(body) + 4, len(content))
        body += struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)
    head[start - 8 : start - 4] = struct.pack("<I", len(body) + 4)
    pictures = sum(name[2:] in (b"dc", b"db") for name, _, _ in chunks)
    for tag, offset in ((b"avih", 24), (b"strh", 40)):
        place = head.find(tag) + offset
        head[place : place + 4] = struct.pack("<I", pictures)
    whole = (
        bytes(head) + body + (b"idx1" + struct.pack("<I", len(entries)) + entries if index else b"")
    )
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def with_empty_chunks(path: Path, _: random.Random) -> None:
    """Put an empty chunk after every third picture of an AVI, as recorders do for dropped ones."""
    data = path.read_bytes()
    start, chunks = avi_chunks(data)
    more: list[tuple[bytes, bytes, int]] = []
    for i, chunk in enumerate(chunks):
        more += [chunk, (chunk[0], b"", 0)] if i % 3 == 2 else [chunk]
    path.write_bytes(rebuilt_avi(data, start, more))


def without_index(path: Path, _: random.Random) -> None:
    """Take the index from the end of an AVI, as when recording was stopped by a crash."""
    data = path.read_bytes()
    path.write_bytes(rebuilt_avi(data, *avi_chunks(data), index=False))


def without_some_chunks(path: Path, _: random.Random) -> None:
    """Take a few pictures from the middle of an AVI of pictures that each stand alone."""
    data = path.read_bytes()
    start, chunks = avi_chunks(data)
    path.write_bytes(rebuilt_avi(data, start, chunks[:40] + chunks[47:]))


def turned(degrees: int) -> Edit:
    """Return an edit that stores a rotation in an MP4 or MOV: degrees to the right when shown."""

    def edit(path: Path, _: random.Random) -> None:
        one = 0x10000
        a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[
            degrees
        ]
        data = bytearray(path.read_bytes())
        matrix = data.find(b"tkhd") + 44
        data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(data)

    return edit


def set_back(first: int, milliseconds: int) -> Edit:
    """Return an edit that makes the times of a Matroska file earlier from a packet on."""

    def edit(path: Path, _: random.Random) -> None:
        times = block_times(path)
        write_block_times(
            path, [time - milliseconds if i >= first else time for i, time in enumerate(times)]
        )

    return edit


def swap_times(one: int, other: int) -> Edit:
    """Return an edit that gives two packets of a Matroska file the times of each other."""

    def edit(path: Path, _: random.Random) -> None:
        times = block_times(path)
        times[one], times[other] = times[other], times[one]
        write_block_times(path, times)

    return edit


def block_times(path: Path) -> list[int]:
    """Return the times of the packets of a Matroska file, ms from the start of their cluster."""
    data = path.read_bytes()
    return [
        struct.unpack(">h", data[packet.position + 1 : packet.position + 3])[0]
        for packet in packets(path)
    ]


def write_block_times(path: Path, times: list[int]) -> None:
    """Write other times, as `block_times` returns them."""
    data = bytearray(path.read_bytes())
    for packet, time in zip(packets(path), times, strict=True):
        data[packet.position + 1 : packet.position + 3] = struct.pack(">h", time)
    path.write_bytes(data)
