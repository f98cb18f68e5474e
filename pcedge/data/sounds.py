"""Readers of sound: WAV by its own chunks, for its header comes back with it; FLAC by soundfile."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import foreign, refused
from pcedge.errors import DataError
from pcedge.extras import needing
from pcedge.limits import check_bytes, read_file

Array = NDArray[Any]

WAV, FLAC = (".wav", ".wave"), (".flac",)

#: numbers of a WAV file by its format tag and bits a sample; 24 bits are three bytes, of which numpy has no type
NUMBERS = {(1, 8): "u1", (1, 16): "<i2", (1, 24): "<i3", (1, 32): "<i4", (3, 32): "<f4", (3, 64): "<f8"}

#: format tag of a WAV file whose tag stands in the first two bytes of a longer name
_EXTENSIBLE = 0xFFFE


@dataclass(frozen=True)
class Wav:
    """Say where in a WAV file its samples lie."""

    #: numpy's name of a sample's type, or <i3
    number: str
    channels: int
    rate: int
    #: first byte of the samples, and of what follows the whole frames
    start: int
    end: int


def wav_of(data: bytes, where: str) -> Wav:
    """Find the samples in the bytes of a WAV file.

    Raises:
        DataError: it is none, or holds neither PCM nor floats.
    """
    if len(data) < 12 or data[:4] not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        raise DataError(f"{where} must be a WAV file, it does not start as one")
    if data[:4] != b"RIFF":
        raise DataError(f"{where} must be a WAV file of the kind RIFF, got {data[:4].decode('ascii')}")
    form: tuple[int, int, int, int] | None = None
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        start = place + 8
        if name == b"fmt ":
            form = _form(data[start : start + size], where)
        elif name == b"data":
            if form is None:
                raise DataError(f"{where} must say what its samples are before they come, it has no chunk 'fmt '")
            tag, channels, rate, bits = form
            # What is written to a pipe does not know its length: it says the largest there is.
            size = min(size, len(data) - start) if size < 0xFFFFFF00 else len(data) - start
            frame = channels * bits // 8
            return Wav(NUMBERS[tag, bits], channels, rate, start, start + size // frame * frame)
        place = start + size + size % 2
    raise DataError(f"{where} must have a chunk of samples, 'data', it has none")


def _form(chunk: bytes, where: str) -> tuple[int, int, int, int]:
    if len(chunk) < 16:
        raise DataError(f"{where} must have a chunk 'fmt ' of at least 16 bytes, got {len(chunk)}")
    tag, channels, rate, _, align, bits = struct.unpack("<HHIIHH", chunk[:16])
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        tag = int.from_bytes(chunk[24:26], "little")
    if (tag, bits) not in NUMBERS:
        raise DataError(
            f"{where} must hold PCM of 8, 16, 24 or 32 bits or floats of 32 or 64, got format {tag} of {bits} bits"
        )
    if not channels or align != channels * bits // 8:
        raise DataError(f"{where} must have frames of {channels} samples of {bits} bits, they have {align} bytes")
    return tag, channels, rate, bits


def unpacked(data: bytes, number: str) -> Array:
    """Give the numbers in some bytes; <i3 are of three bytes, in the machine's byte order otherwise."""
    if number != "<i3":
        dtype = np.dtype(number)
        return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
    wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
    wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return np.asarray(wide.reshape(-1).view("<i4") >> 8, dtype=np.int32)


def packed(array: Array, number: str) -> bytes:
    """Give the bytes of numbers, as `unpacked` reads them.

    Raises:
        DataError: a number does not fit the type.
    """
    if number != "<i3":
        made = array.astype(number)
        if made.dtype.names is None and (made != array).any() and not (array != array).any():
            raise DataError(f"the numbers must fit {number}, they do not")
        return made.tobytes()
    if array.size and not -(1 << 23) <= int(array.min()) <= int(array.max()) < 1 << 23:
        raise DataError(f"the numbers must fit 24 bits, got {array.min()}..{array.max()}")
    return np.ascontiguousarray(array.astype("<i4")).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def read_wav(path: Path) -> Array:
    """Read the samples of a WAV file, of shape (frames, channels), as they are stored.

    Raises:
        DataError: it is damaged, or holds neither PCM nor floats.
    """
    with refused(path, "WAV file"), path.open("rb") as file:
        data = read_file(file, str(path), DataError)
    wav = wav_of(data, str(path))
    return unpacked(data[wav.start : wav.end], wav.number).reshape(-1, wav.channels)


#: what FLAC's samples are read as, and by how many bits soundfile has moved them up
_FLAC = {"PCM_S8": ("int16", 8, "int8"), "PCM_16": ("int16", 0, "int16"), "PCM_24": ("int32", 8, "int32")}


def read_flac(path: Path) -> tuple[Array, int]:
    """Read the samples of a FLAC file, of shape (frames, channels), and its sample rate.

    Raises:
        DataError: it is damaged.
        MissingToolError: soundfile is not installed.
    """
    with needing("soundfile", "audio", "reading FLAC files"):
        import soundfile
    with foreign(path, "FLAC file"):
        info = soundfile.info(str(path))
        if info.format != "FLAC" or info.subtype not in _FLAC:
            raise DataError(f"{path} must be FLAC of 8, 16 or 24 bits, got {info.format} {info.subtype}")
        dtype, shift, kept = _FLAC[info.subtype]
        needed = 3 * info.frames * info.channels * np.dtype(dtype).itemsize
        check_bytes("packed", needed, path.stat().st_size, str(path), DataError, "; write it as WAV")
        samples, rate = soundfile.read(str(path), dtype=dtype, always_2d=True)
        if len(samples) != info.frames:
            raise ValueError(f"{info.frames} frames must follow its header, {len(samples)} do")
    return (samples >> shift).astype(kept), int(rate)


def read_sounds(folder: Path) -> tuple[Array, str]:
    """Read all WAV and FLAC files of a folder, sorted by name; give the array and what was made of them, in words.

    Recordings of one length are stacked: (files, frames, channels), or (files, frames) of one channel. Others follow
    each other in time: (frames, channels).

    Raises:
        DataError: one is damaged, or they differ in type or channels.
    """
    paths = sounds_of(folder)
    parts = [read_flac(path)[0] if path.suffix.lower() in FLAC else read_wav(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if (part.dtype, part.shape[1]) != (parts[0].dtype, parts[0].shape[1]):
            raise DataError(
                f"all recordings must be of one type and number of channels, {paths[0].name} is {parts[0].dtype} of "
                f"{parts[0].shape[1]}, {path} is {part.dtype} of {part.shape[1]}"
            )
    if len({len(part) for part in parts}) == 1:
        stacked = np.stack(parts)
        one = stacked.shape[2] == 1
        return stacked[:, :, 0] if one else stacked, f"{len(parts)} recordings of one length are a record each"
    return np.concatenate(parts), f"{len(parts)} recordings of different lengths follow each other in time"


def sounds_of(folder: Path) -> list[Path]:
    """Give the sound files in a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in WAV + FLAC and path.is_file())


def wav_header(rate: int, channels: int, number: str, size: int) -> bytes:
    """Make the header of a WAV file of so many bytes of samples."""
    width = int(number[-1])
    tag = 3 if "f" in number else 1
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * width, channels * width, 8 * width)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size + size % 2)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + (b"data" + struct.pack("<I", size))
    )
