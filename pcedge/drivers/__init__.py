"""Drivers of exported engines, and the contract with them. Needs numpy only."""

from pcedge.drivers.device import Device
from pcedge.drivers.interface import Info
from pcedge.drivers.pynq import open_overlay
from pcedge.drivers.size import EngineSize

__all__ = ["Device", "EngineSize", "Info", "open_overlay"]
