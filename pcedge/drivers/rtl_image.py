"""Images as words, and those of engines in SystemVerilog: what can be checked of one alone."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.drivers.contract import DIGEST_WORDS, IMAGE_NAMES, IMAGE_VERSION
from pcedge.errors import FormatError, UsageError

#: the first word: the characters PCR1
RTL_MAGIC = int.from_bytes(b"PCR1", "little")


def check_rtl_image(words: NDArray[np.uint32]) -> None:
    """Check that an image is whole: its words are those of one build, which alone knows what they mean.

    Raises:
        FormatError: it is of another version, or damaged.
    """
    given = words.astype("<u4", casting="equiv")
    front = len(IMAGE_NAMES) + DIGEST_WORDS
    if given.ndim != 1 or len(given) <= front:
        raise FormatError("engine-image", f"it must have more than {front} words, got {given.size}")
    if given[1] != IMAGE_VERSION:
        raise FormatError("engine-image", f"version must be {IMAGE_VERSION}, got {given[1]}")
    if zlib.crc32(given[:-1].tobytes()) != int(given[-1]):
        raise FormatError("engine-image", "its CRC-32 must be right: it is damaged")


def image_of(image: ArrayLike) -> NDArray[np.uint32]:
    """Give an image as words.

    Raises:
        UsageError: it is none.
    """
    given = np.asarray(image)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iu":
        raise UsageError(f"an image must be a list of 32-bit words, got {given.dtype} of shape {given.shape}")
    if int(given.min()) < 0 or int(given.max()) > 0xFFFFFFFF:
        raise UsageError("an image must have words of 32 bits, got larger or negative ones")
    return np.ascontiguousarray(given, dtype=np.uint32)
