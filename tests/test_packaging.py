"""The files around the code: they tell the same version, and the same dependencies."""

import os
import re
import socket
import subprocess
import sys
import tomllib
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from pytest_socket import SocketBlockedError, SocketConnectBlockedError
from ruamel.yaml import YAML

import nmt

ROOT = Path(__file__).parent.parent


def read_pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements() -> list[Requirement]:
    """What the project depends on, all extras included."""
    project = read_pyproject()["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    assert lines
    return [Requirement(line) for line in lines]


def constraints() -> dict[str, Requirement]:
    """The lines of constraints.txt by canonical name."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    parsed = [Requirement(line) for line in lines]
    by_name: dict[str, Requirement] = {canonicalize_name(line.name): line for line in parsed}
    assert len(by_name) == len(lines)
    return by_name


def exact_version(constraint: Requirement) -> Version:
    (specifier,) = constraint.specifier
    assert specifier.operator == "=="
    return Version(specifier.version)


def test_the_build_takes_the_version_from_the_package() -> None:
    pyproject = read_pyproject()
    assert "version" not in pyproject["project"]
    assert pyproject["project"]["dynamic"] == ["version"]
    assert pyproject["tool"]["hatch"]["version"] == {"path": "nmt/__init__.py"}


def test_the_citation_names_this_version() -> None:
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == nmt.__version__


def test_the_change_log_starts_with_this_version() -> None:
    headings = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert headings[0] == nmt.__version__


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_every_dependency_has_an_exact_version_in_its_range(requirement: Requirement) -> None:
    constraint = constraints()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(exact_version(constraint))


def test_constraints_are_exact_versions_that_every_machine_can_install() -> None:
    for constraint in constraints().values():
        assert exact_version(constraint).local is None
        assert constraint.url is None
        assert constraint.marker is None


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_the_compromised_releases_of_lightning_are_refused(version: str) -> None:
    (lightning,) = (r for r in requirements() if r.name == "lightning")
    assert not lightning.specifier.contains(version)


def test_translate_py_starts_from_any_folder(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "translate.py"), "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stderr
    assert "--model" in result.stdout


def test_no_test_connects_to_another_machine() -> None:
    with (
        socket.socket() as outside,
        pytest.raises(SocketConnectBlockedError, match=r'host "192\.0\.2\.1"'),
    ):
        outside.connect(("192.0.2.1", 80))


def test_no_test_looks_up_the_name_of_another_machine() -> None:
    with pytest.raises(SocketBlockedError, match=r"getaddrinfo for 'host\.invalid'"):
        socket.create_connection(("host.invalid", 80))


def test_a_test_may_talk_to_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"ready")
        connection, _ = server.accept()
        with connection:
            assert connection.recv(5) == b"ready"


def test_a_test_may_start_processes_which_talk_through_unix_sockets() -> None:
    with Listener(family="AF_UNIX") as listener, Client(listener.address) as client:
        client.send("ready")
        with listener.accept() as connection:
            assert connection.recv() == "ready"
