"""Who holds a lease or a turn: a driver, named so that no other process is ever taken for it."""

import os
import platform
from functools import cache

from policy.errors import LedgerFault
from workers.processes import own_process


def own_holder() -> str:
    """This process: host, process id and the kernel's start time of it, which no other shares."""
    return _holder_of(os.getpid())


@cache  # a process keeps its number and its start; a child of it has another number
def _holder_of(pid: int) -> str:
    process = own_process("driver", pid)
    if process is None:
        raise LedgerFault("This process cannot be found in the system's own list.", "Is /proc mounted?")
    return f"{platform.node()}:{process.pid}:{process.started}"


def is_dead_holder(holder: str) -> bool:
    """Whether the name is that of a driver of this very host that is gone."""
    host, _, rest = holder.partition(":")
    pid, _, started = rest.partition(":")
    if host != platform.node() or not pid.isdigit():
        return False
    process = own_process("driver", int(pid))
    return process is None or str(process.started) != started
