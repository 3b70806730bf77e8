"""What every test gets: no network, no screen, one thread, the same random examples each time."""

import atexit
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from pytest_socket import SocketBlockedError

if TYPE_CHECKING:
    from nmt.run_folder import RunFolder

# Before the libraries that read these are imported.
# Making its list of fonts takes seconds: it stays where it is.
os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))
# What the tests prepare is their own, and gone with them.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="nmt-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
# The tests' tensors are small: a second thread costs more than it brings.
os.environ["OMP_NUM_THREADS"] = "1"

# A slow machine must not fail a test, and a test must not fail on one run in a hundred.
hypothesis.settings.register_profile("nmt", deadline=None, derandomize=True)
hypothesis.settings.load_profile("nmt")

LOOPBACK = (None, "", "localhost", "127.0.0.1", "::1")


@pytest.fixture(autouse=True)
def no_name_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block name lookups too: pytest-socket lets them through once a host is allowed."""
    true_getaddrinfo = socket.getaddrinfo

    def guarded_getaddrinfo(host: str | None, *args: object, **kwargs: object) -> object:
        if host not in LOOPBACK:
            raise SocketBlockedError(f"A test tried to use socket.getaddrinfo for {host!r}.")
        return true_getaddrinfo(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> "RunFolder":
    """A run that has learned to reverse strings of digits, its corpus beside it: only to read."""
    # here, so that tests that train nothing do not load the trainer
    from toy import toy_recipe, write_corpus

    from nmt.training import train

    folder = tmp_path_factory.mktemp("toy")
    write_corpus(folder, num_train=2000, num_validation=50, num_test=200)
    return train(toy_recipe(folder), folder / "run")
