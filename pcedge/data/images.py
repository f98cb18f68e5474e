"""Readers of folders of PNG and PGM images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import refused
from pcedge.errors import DataError
from pcedge.extras import needing

Array = NDArray[Any]

IMAGES = (".png", ".pgm")

#: Pillow's modes of images whose pixels are integers without a palette, and their dtype
MODES = {"1": "bool", "L": "uint8", "LA": "uint8", "RGB": "uint8", "RGBA": "uint8", "I;16": "uint16", "I;16B": "uint16"}

#: (bits, colour type) of a PNG header that Pillow reads value by value; 0 is grey, 2 RGB, 4 and 6 with alpha
DEPTHS = {(1, 0), (8, 0), (16, 0), (8, 2), (8, 4), (8, 6)}

#: pixels of an image at most: a small file can claim any size
MAX_PIXELS = 1 << 27

#: a PGM header: magic, width, height and largest value, with comments anywhere between, and one white byte
_PGM = re.compile(rb"P([25])" + rb"(?:\s|#[^\n]*\n)+([0-9]{1,9})" * 3 + rb"\s")


def read_folder(folder: Path, splits: tuple[str, ...]) -> dict[str, Array]:
    """Read a folder of images: subfolders named like splits, or images, which are then all of `train`.

    Raises:
        DataError: there are no images, they differ in size or mode, or one is damaged.
        MissingToolError: Pillow is not installed and there is a PNG.
    """
    parts = {name: folder / name for name in splits if (folder / name).is_dir()}
    arrays = {name: _stack(_files(path)) for name, path in parts.items() if _files(path)}
    loose = _files(folder)
    if loose and arrays:
        raise DataError(f"{folder} must hold images or the folders {', '.join(arrays)}, it holds both")
    if loose:
        return {splits[0]: _stack(loose)}
    if not arrays:
        raise DataError(
            f"{folder} must hold .png or .pgm images, or folders named {', '.join(splits)} that do; it holds none"
        )
    return arrays


def read_image(path: Path) -> Array:
    """Read one image as an array of one record."""
    return _stack([path])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGES and path.is_file())


def _stack(paths: list[Path]) -> Array:
    first: tuple[str, tuple[int, ...]] | None = None
    images = []
    for path in paths:
        mode, pixels = _read_pgm(path) if path.suffix.lower() == ".pgm" else _read_png(path)
        first = first or (mode, pixels.shape)
        if (mode, pixels.shape) != first:
            raise DataError(
                f"all images must be of one size and mode, {paths[0].name} is {_describe(*first)}, "
                f"{path} is {_describe(mode, pixels.shape)}"
            )
        images.append(pixels)
    return np.stack(images)


def _describe(mode: str, shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} {mode}"


def _read_png(path: Path) -> tuple[str, Array]:
    with needing("PIL", "images", "reading PNG images"):
        from PIL import Image
    try:
        with refused(path, "PNG image"), Image.open(path, formats=["PNG"]) as image:
            mode, (width, height) = image.mode, image.size
            frames = getattr(image, "n_frames", 1)
            if width * height > MAX_PIXELS:
                raise ValueError(f"{width}x{height} pixels, more than {MAX_PIXELS}")
            if mode in MODES and frames == 1:
                pixels = np.asarray(image).astype(MODES[mode])
    except Image.DecompressionBombError as error:
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


def _read_pgm(path: Path) -> tuple[str, Array]:
    # Not by Pillow, which scales the values to 0..255 or 0..65535.
    with refused(path, "PGM image"):
        data = path.read_bytes()
    header = _PGM.match(data)
    if not header:
        raise DataError(f"{path} must start with a PGM header: P5 or P2, width, height and largest value")
    width, height, most = (int(header[place]) for place in (2, 3, 4))
    if not (width and height and 1 <= most <= 65535):
        raise DataError(f"{path} must have a size and a largest value of 1..65535, got {width}x{height}, {most}")
    if width * height > MAX_PIXELS:
        raise DataError(f"{path} must have at most {MAX_PIXELS} pixels, got {width}x{height}")
    dtype = np.dtype("uint8" if most < 256 else "uint16")
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
    if int(pixels.max()) > most:
        raise DataError(f"{path} must hold values up to {most}, got {pixels.max()}")
    return f"PGM {dtype}", pixels.astype(dtype).reshape(height, width)
