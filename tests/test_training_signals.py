"""What asks a run to leave, and when it is heeded."""

import os
import signal
import threading
from pathlib import Path

import pytest
from toy import QUICK, toy_recipe, write_quick_corpus

from nmt.errors import SavedAndStoppedError
from nmt.training import train
from nmt.training.signals import StopRequests

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def send_all(*numbers: int) -> None:
    for number in numbers:
        send(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_where_nothing_is_to_be_saved_a_signal_ends_the_run_at_once(number: signal.Signals) -> None:
    stops = StopRequests()
    message = rf"^stopped by {number.name} outside of the training; the same command goes on from "
    with stops.heeded(), pytest.raises(SavedAndStoppedError, match=message):
        send(number)


def test_ctrl_c_stays_what_it_is_where_nothing_is_to_be_saved() -> None:
    with StopRequests().heeded(), pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


@pytest.mark.parametrize("number", ASKING)
def test_while_it_is_deferred_a_signal_is_noted_and_heeded_at_the_end(
    number: signal.Signals,
) -> None:
    stops = StopRequests()
    with stops.heeded():
        message = f"^stopped by {number.name} after the training; "
        with pytest.raises(SavedAndStoppedError, match=message), stops.deferred():
            send(number)
        assert stops.received == number


def test_a_second_ctrl_c_does_not_wait() -> None:
    stops = StopRequests()
    with stops.heeded(), pytest.raises(KeyboardInterrupt), stops.deferred():
        send_all(signal.SIGTERM, signal.SIGTERM, signal.SIGINT)


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in ASKING]
    stops = StopRequests()
    with stops.heeded():
        assert [signal.getsignal(number) for number in ASKING] != before
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a library might
        stops.install()
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_IGN
    assert [signal.getsignal(number) for number in ASKING] == before


def test_a_thread_takes_no_signals() -> None:
    before = [signal.getsignal(number) for number in ASKING]
    seen: list[object] = []

    def heed() -> None:
        stops = StopRequests()
        with stops.heeded():
            stops.install()
            seen.extend(signal.getsignal(number) for number in ASKING)

    thread = threading.Thread(target=heed)
    thread.start()
    thread.join()
    assert seen == before


def test_a_run_stopped_while_it_reads_its_data_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_quick_corpus(tmp_path)
    monkeypatch.setattr("nmt.training.run.load_corpora", lambda _: send(signal.SIGTERM))
    with pytest.raises(SavedAndStoppedError, match=r"^stopped by SIGTERM outside of the training"):
        train(toy_recipe(tmp_path, *QUICK), tmp_path / "run")
    assert not (tmp_path / "run").exists()
