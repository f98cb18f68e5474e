"""Drivers of exported engines."""

from pcedge.export.drivers.device import Device, Info
from pcedge.export.drivers.pynq import open_overlay

__all__ = ["Device", "Info", "open_overlay"]
