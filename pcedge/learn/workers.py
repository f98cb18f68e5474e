"""Data-parallel training: every process of a torchrun counts its share of each batch, and all make the same M-step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from pcedge.arrays import IntArray
from pcedge.errors import UsageError
from pcedge.learn.config import LearnConfig

#: environment of a process that torchrun has started
RANK, LOCAL_RANK, WORLD_SIZE = "RANK", "LOCAL_RANK", "WORLD_SIZE"


@dataclass(frozen=True)
class Workers:
    """Hold this process' place among those that train together; alone it is 0 of 1."""

    rank: int = 0
    count: int = 1
    device: str = "cpu"

    def share(self, records: IntArray) -> IntArray:
        """Give every `count`-th record, from the process' own rank on."""
        return records[self.rank :: self.count]

    def add(self, tensor: Any) -> Any:
        """Add a tensor over all processes, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Tell whether a flag is set in one of the processes, so that all do the same."""
        if self.count == 1:
            return flag
        return bool(self.add(torch.tensor(float(flag), device=self.device)))

    def agree(self, tensor: Any) -> None:
        """Take the first process' values, so that all start at the same bits."""
        if self.count > 1:
            torch.distributed.broadcast(tensor, 0)


@contextmanager
def joined(config: LearnConfig) -> Iterator[Workers]:
    """Join the processes that torchrun has started, if it has; else work alone.

    Raises:
        UsageError: the device does not work here.
    """
    count = int(os.environ.get(WORLD_SIZE, "1"))
    device = own_device(config)
    if count == 1:
        yield Workers(device=device)
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    started = not torch.distributed.is_initialized()
    if started:
        torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Workers(int(os.environ[RANK]), count, device)
    finally:
        if started:
            torch.distributed.destroy_process_group()


def own_device(config: LearnConfig) -> str:
    """Give this process' device: of several GPUs the one that torchrun means for it.

    Raises:
        UsageError: the device does not work here.
    """
    device = config.device
    if device == "cuda":
        device = f"cuda:{os.environ.get(LOCAL_RANK, '0')}"
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # torch raises either, by what is missing
        reason = str(error).splitlines()[0]
        raise UsageError(f"device must be cpu or a torch device that works here, got {device!r} ({reason})") from error
    return device
