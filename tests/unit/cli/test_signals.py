"""Signals of a command: it ends on them, unless its caller ignores them."""

import signal

import pytest

from orderctl.signals import interruptible


def test_a_closed_terminal_ends_a_command() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGHUP)


def test_nohup_stays_in_force() -> None:
    """E14 of the deployments: a command that was started with `nohup` follows its deployment to the end."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
