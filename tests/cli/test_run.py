"""./run, the one command for everything. What it installs is tested by using it; here, what it does around that."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "run"
TOOLS = ("cat", "cksum", "dirname", "rm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder, with a space in its name, that holds what `run` looks at; and a PATH without any Python."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    shutil.copy(RUN, folder / "run")
    for name in ("pyproject.toml", "requirements.lock"):
        (folder / name).write_text("")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    return folder


def run(checkout: Path, *words: str, where: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", str(checkout / "run"), *words],
        cwd=where or checkout,
        env={"PATH": str(checkout.parent / "bin"), **environ},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_no_python(checkout: Path) -> None:
    ran = run(checkout)
    cure = "install one, or name it: PYTHON=/path/to/python3 ./run"
    said = f"holdfast: Python 3.11 or newer is needed, found: none; {cure}\n"
    assert (1, "", said) == (ran.returncode, ran.stdout, ran.stderr)


def test_an_old_python(checkout: Path) -> None:
    script(checkout.parent / "bin" / "python3", '[ "$1" = --version ] && echo Python 3.10.13 || exit 1')
    assert "holdfast: Python 3.11 or newer is needed, found: Python 3.10.13; " in run(checkout).stderr
    ran = run(checkout, PYTHON="python3")
    said = "holdfast: PYTHON=python3 is no Python 3.11 or newer; name another, or unset it\n"
    assert (1, said) == (ran.returncode, ran.stderr)


def test_a_python_without_venv(checkout: Path) -> None:
    script(checkout.parent / "bin" / "python3", '[ "$1" = -c ]')
    ran = run(checkout)
    assert (1, 1) == (ran.returncode, len(ran.stderr.splitlines()))
    assert "apt-get install python3-venv" in ran.stderr


@pytest.fixture
def installed(checkout: Path) -> Path:
    """A checkout whose environment holds a Python that says what it is asked."""
    script(checkout / ".venv/bin/python", 'echo "$HOLDFAST_COMMAND"; for word in "$@"; do echo "<$word>"; done; exit 7')
    command = 'cd "$1"; { cat pyproject.toml requirements.lock && pwd; } | cksum'
    made = subprocess.run(["/bin/sh", "-c", command, "sh", str(checkout)], capture_output=True, check=True)  # noqa: S603
    (checkout / ".venv/installed-speed").write_bytes(made.stdout)
    return checkout


def test_arguments_and_the_exit_code_pass_through(installed: Path) -> None:
    ran = run(installed, "ask", "two words", "")
    words = ["-P", "-m", "proxy", "ask", "two words", ""]
    assert [f"{installed}/run", *(f"<{word}>" for word in words)] == ran.stdout.splitlines()
    assert (7, "") == (ran.returncode, ran.stderr)


def test_without_arguments_it_is_the_demo(installed: Path) -> None:
    assert "<demo>" == run(installed).stdout.splitlines()[-1]


def test_files_are_named_from_where_the_user_stands(installed: Path, tmp_path: Path) -> None:
    script(installed / ".venv/bin/python", "pwd")
    assert str(tmp_path) == run(installed, "check", where=tmp_path).stdout.strip()


def test_a_changed_lock_installs_anew(installed: Path) -> None:
    (installed / "requirements.lock").write_text("changed")
    assert "Python 3.11 or newer is needed" in run(installed).stderr


def test_an_environment_that_was_moved_is_made_anew(installed: Path) -> None:
    moved = installed.parent / "elsewhere"
    installed.rename(moved)
    assert "Python 3.11 or newer is needed" in run(moved).stderr


def test_it_is_plain_sh() -> None:
    assert os.access(RUN, os.X_OK)
    for shell in filter(None, map(shutil.which, ("sh", "dash", "bash", "busybox"))):
        words = [shell, "sh"] if shell.endswith("busybox") else [shell]
        assert 0 == subprocess.run([*words, "-n", str(RUN)], check=False).returncode  # noqa: S603 - a known shell
