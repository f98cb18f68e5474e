"""What errors say, as patterns."""

from __future__ import annotations

import re


def whole(text: object) -> str:
    """Make the pattern that matches this text and nothing else."""
    return "^" + re.escape(str(text)) + "$"
