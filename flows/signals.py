"""SIGTERM ends a driver as Ctrl-C does: workers stop, leases go back, services end.

Ray and Prefect each take the signal for themselves, and Ray's core answers it with a stack
dump and an abort. Only the main thread has signals; elsewhere nothing is changed.
"""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def sigterm_as_ctrl_c() -> Generator[None]:
    """Raise KeyboardInterrupt at SIGTERM, and put back what was there before."""
    with keep_sigterm():
        if _has_signals():
            signal.signal(signal.SIGTERM, _interrupt)
        yield


@contextmanager
def keep_sigterm() -> Generator[None]:
    """Put the handler of SIGTERM back after the block, whatever took the signal in it, in C or in Python."""
    if not _has_signals():
        yield
        return
    previous = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _has_signals() -> bool:
    return threading.current_thread() is threading.main_thread()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
