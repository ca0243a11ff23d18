"""SIGTERM belongs to the driver, whatever else would like to have it."""

import os
import signal
import threading

import pytest

from flows.signals import keep_sigterm, sigterm_as_ctrl_c


def terminate_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def test_sigterm_interrupts_as_ctrl_c_does_and_is_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        terminate_ourselves()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_library_that_takes_the_signal_does_not_keep_it():
    with sigterm_as_ctrl_c():
        ours = signal.getsignal(signal.SIGTERM)
        with keep_sigterm():
            signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        assert signal.getsignal(signal.SIGTERM) is ours


def test_a_thread_that_has_no_signals_is_left_alone():
    seen: list[object] = []

    def drive() -> None:
        with sigterm_as_ctrl_c(), keep_sigterm():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=drive)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
