"""What a file seems to be, for those that are another tool's than their suffix says."""

from __future__ import annotations

from typing import Any

_MAGIC = (
    (b"PK\x03\x04", "a zip archive, as torch.save and skops write"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\x80", "a pickle"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"<", "XML"),
)


def seems(data: bytes) -> str:
    r"""Say what a file's first bytes look like.

    Example:
        >>> seems(b"PK\x03\x04..."), seems(b"a line")
        ('a zip archive, as torch.save and skops write', 'a text')
    """
    start = data.lstrip()[:64]
    for magic, name in _MAGIC:
        if start.startswith(magic):
            return name
    return "a text" if start and all(byte >= 32 or byte in b"\t\n\r" for byte in start) else "other data"


def seems_json(value: Any) -> str:
    """Say what a JSON value looks like: a known tool's, or its kind and keys."""
    if isinstance(value, dict):
        keys = [str(key)[:40] for key in value]
        if {"learner", "version"} <= set(keys):
            return "an XGBoost model"
        if len(keys) == 1 and keys[0] in ("Sum", "Product"):
            return (
                "a circuit as to_JSON of SPFlow 0.0 writes it, which says no order of children: write its text instead"
            )
        if {"nodes", "edges"} & set(keys) or "links" in keys:
            return "a graph of networkx whose nodes are no units of deeprob-kit"
        if "axes" in keys or "columns" in keys:
            return "a description of data's columns"
        return (
            f"an object with the keys {', '.join(keys[:6])}{', …' if len(keys) > 6 else ''}"
            if keys
            else "an empty object"
        )
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return f"a {type(value).__name__}"
