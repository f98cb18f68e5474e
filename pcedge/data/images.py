"""Readers of folders of PNG and PGM images."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import refused
from pcedge.errors import DataError
from pcedge.extras import needing
from pcedge.limits import MemoryBudget

Array = NDArray[Any]

IMAGES = (".png", ".pgm")

#: Pillow's modes of images whose pixels are integers without a palette, and their dtype
MODES = {"1": "bool", "L": "uint8", "LA": "uint8", "RGB": "uint8", "RGBA": "uint8", "I;16": "uint16", "I;16B": "uint16"}

#: (bits, colour type) of a PNG header that Pillow reads value by value; 0 is grey, 2 RGB, 4 and 6 with alpha
DEPTHS = {(1, 0), (8, 0), (16, 0), (8, 2), (8, 4), (8, 6)}

#: pixels of an image at most: a small file can claim any size
MAX_PIXELS = 1 << 27
#: bytes of memory for an image beside its pixels, and for each byte of one that is text, at most
IMAGE_BYTES, WORD_BYTES = 500, 40

#: a PGM header: magic, width, height and largest value, with comments anywhere between, and one white byte
_PGM = re.compile(rb"P([25])" + rb"(?:\s|#[^\n]*\n)+([0-9]{1,9})" * 3 + rb"\s")


def read_folder(folder: Path, splits: tuple[str, ...]) -> dict[str, Array]:
    """Read a folder of images: subfolders named like splits, or images, which are then all of `train`.

    Raises:
        DataError: there are no images, they differ in size or mode, or one is damaged.
        MissingToolError: Pillow is not installed and there is a PNG.
    """
    folders = {name: folder / name for name in splits if (folder / name).is_dir()}
    arrays = {name: _stack(_files(path)) for name, path in folders.items() if _files(path)}
    loose = _files(folder)
    if loose and arrays:
        raise DataError(f"{folder} must hold images or the folders {', '.join(arrays)}, it holds both")
    if loose:
        return {splits[0]: _stack(loose)}
    if not arrays:
        raise DataError(
            f"{folder} must hold .png or .pgm images, .wav or .flac recordings, or folders named {', '.join(splits)} "
            f"of images; it holds {_others(folder)}"
        )
    return arrays


def read_image(path: Path) -> Array:
    """Read one image as an array of one record."""
    return _stack([path])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES and path.is_file())


def _others(folder: Path) -> str:
    """Say what a folder holds that holds no images: most likely arrays, each a file of data by itself."""
    arrays = sum(path.suffix.lower() == ".npy" for path in folder.iterdir())
    if not arrays:
        return "none"
    return f"{arrays} .npy file{'s' * (arrays > 1)}: join the arrays of such files in one (numpy.concatenate)"


def _stack(paths: list[Path]) -> Array:
    first: tuple[str, tuple[int, ...]] | None = None
    images = []
    size = sum(path.stat().st_size for path in paths)
    where = str(paths[0] if len(paths) == 1 else paths[0].parent)
    budget = MemoryBudget("images", size, where, lambda message: DataError(f"{message}; a .npy file may have any size"))
    pillow: Any = None
    for path in paths:
        if path.suffix.lower() == ".pgm":
            mode, pixels = _read_pgm(path, budget)
        else:
            pillow = pillow or _pillow()
            mode, pixels = _read_png(path, budget, pillow)
        if first is None:
            # All are of one size, held one by one and then together.
            budget.take(2 * len(paths) * (pixels.nbytes + IMAGE_BYTES))
        first = first or (mode, pixels.shape)
        if (mode, pixels.shape) != first:
            raise DataError(
                f"all images must be of one size and mode, {paths[0].name} is {_describe(*first)}, "
                f"{path} is {_describe(mode, pixels.shape)}"
            )
        images.append(pixels)
    return np.stack(images)


def _pillow() -> Any:
    with needing("PIL", "images", "reading PNG images"):
        from PIL import Image
    return Image


def _describe(mode: str, shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} {mode}"


def _read_png(path: Path, budget: MemoryBudget, pillow: Any) -> tuple[str, Array]:
    _check_chunks(path)
    try:
        with refused(path, "PNG image"), pillow.open(path, formats=["PNG"]) as image:
            mode, (width, height) = image.mode, image.size
            frames = getattr(image, "n_frames", 1)
            if width * height > MAX_PIXELS:
                raise ValueError(f"{width}x{height} pixels, more than {MAX_PIXELS}")
            if mode in MODES and frames == 1:
                # Decoded, as bytes, and as an array.
                budget.check(3 * width * height * len(image.getbands()) * np.dtype(MODES[mode]).itemsize)
                pixels = np.asarray(image).astype(MODES[mode], copy=False)
    except pillow.DecompressionBombError as error:
        raise DataError(f"{path} must be a whole PNG image (DecompressionBombError: {error})") from error
    if frames != 1:
        raise DataError(f"{path} must hold one image, it holds {frames}")
    if mode not in MODES:
        raise DataError(f"{path} must be of mode {', '.join(MODES)}, got {mode}")
    # Pillow brings other depths to 8 bits without a word.
    with path.open("rb") as file:
        depth, colour = file.read(26)[24:26]
    if (depth, colour) not in DEPTHS:
        raise DataError(f"{path} must have 8 bits a channel, or 1 or 16 bits of grey alone, got {depth} bits of {mode}")
    return mode, pixels


def _check_chunks(path: Path) -> None:
    """Demand that a PNG's chunks are whole and have their checksums: Pillow looks at no checksum of pixels.

    Raises:
        DataError: the file is no PNG, ends within a chunk, or is damaged.
    """
    with refused(path, "PNG image"):
        data = memoryview(path.read_bytes())
    if bytes(data[:8]) != b"\x89PNG\r\n\x1a\n":
        raise DataError(f"{path} must be a whole PNG image, it does not start as one")
    offset, kind = 8, b""
    while kind != b"IEND":
        end = offset + 8 + int.from_bytes(data[offset : offset + 4], "big")
        if end + 4 > len(data):
            raise DataError(f"{path} must be a whole PNG image, it ends within the chunk at byte {offset}")
        kind = bytes(data[offset + 4 : offset + 8])
        computed, stored = zlib.crc32(data[offset + 4 : end]), int.from_bytes(data[end : end + 4], "big")
        if computed != stored:
            raise DataError(
                f"{path}: the checksum of the chunk at byte {offset} must be {computed:08x}, got {stored:08x}: "
                "damaged image"
            )
        offset = end + 4


def _read_pgm(path: Path, budget: MemoryBudget) -> tuple[str, Array]:
    # Not by Pillow, which scales the values to 0..255 or 0..65535.
    with refused(path, "PGM image"):
        data = path.read_bytes()
    header = _PGM.match(data)
    if not header:
        raise DataError(f"{path} must start with a PGM header: P5 or P2, width, height and largest value")
    width, height, largest = (int(header[group]) for group in (2, 3, 4))
    if not (width and height and 1 <= largest <= 65535):
        raise DataError(f"{path} must have a size and a largest value of 1..65535, got {width}x{height}, {largest}")
    if width * height > MAX_PIXELS:
        raise DataError(f"{path} must have at most {MAX_PIXELS} pixels, got {width}x{height}")
    dtype = np.dtype("uint8" if largest < 256 else "uint16")
    budget.check(WORD_BYTES * len(data) if header[1] == b"2" else 4 * len(data))
    body = data[header.end() :]
    if header[1] == b"5":
        needed = width * height * dtype.itemsize
        if len(body) != needed:
            raise DataError(f"{path} must hold {needed} bytes of pixels, it holds {len(body)}")
        pixels: Array = np.frombuffer(body, dtype=dtype.newbyteorder(">")).astype(dtype)
    else:
        words = body.split()
        if len(words) != width * height or not all(re.fullmatch(rb"[0-9]{1,5}", word) for word in words):
            raise DataError(f"{path} must hold {width * height} numbers, it holds {len(words)} words")
        pixels = np.array([int(word) for word in words])
    if int(pixels.max()) > largest:
        raise DataError(f"{path} must hold values up to {largest}, got {pixels.max()}")
    return f"PGM {dtype}", pixels.astype(dtype).reshape(height, width)
