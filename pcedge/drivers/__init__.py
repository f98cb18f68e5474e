"""Drivers of exported engines."""

from pcedge.drivers.device import Device, Info
from pcedge.drivers.pynq import open_overlay

__all__ = ["Device", "Info", "open_overlay"]
