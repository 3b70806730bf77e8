"""One run at a time in a folder: between processes, and when one of them is killed."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nmt.errors import CheckpointError, NMTError
from nmt.run_folder.lock import Holder, locked

ROOT = Path(__file__).parent.parent

HOLDS = """
import sys, time
from pathlib import Path
from nmt.run_folder.lock import locked

with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_kept_by_another_process_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], env=environment, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        holder = Holder(process.pid, socket.gethostname())
        message = rf"^{re.escape(str(tmp_path))}: {re.escape(str(holder))} is training here; wait "
        with pytest.raises(CheckpointError, match=message), locked(path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    with locked(path) as killed:
        assert killed == holder
    assert not path.exists()
    with locked(path) as killed:
        assert killed is None


def test_a_lock_whose_file_is_deleted_while_it_is_awaited_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    true_samestat = os.path.samestat
    num_deleted = 0

    def samestat(*stats: os.stat_result) -> bool:
        nonlocal num_deleted
        if num_deleted == 0:
            path.unlink()
            path.touch()
            num_deleted += 1
            return true_samestat(stats[0], path.stat())
        return true_samestat(*stats)

    monkeypatch.setattr(os.path, "samestat", samestat)
    with locked(path), pytest.raises(CheckpointError), locked(path):
        pass
    assert num_deleted == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": "x", "host": 1}'])
def test_a_lock_file_of_unknown_content_is_nobodys(content: str, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text(content, encoding="utf-8")
    with locked(path) as killed:
        assert killed is None


def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    message = r"none/lock: cannot write: No such file or directory$"
    with pytest.raises(NMTError, match=message), locked(tmp_path / "none" / "lock"):
        pass
