import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.cli.conftest import Process


@pytest.fixture(scope="module")
def demos() -> Iterator[tuple[Process, Process]]:
    """One demo that ends after its story and one that goes on; told side by side, since a story takes seconds."""
    both = Process("demo", "--once"), Process("demo", "--port", "0")
    yield both
    for process in both:
        process.kill()


def pasted(line: str) -> subprocess.CompletedProcess[str]:
    """What a printed line does in a shell."""
    command = line.replace("holdfast ", f"{shlex.quote(sys.executable)} -m proxy ")
    return subprocess.run(command, shell=True, capture_output=True, text=True, timeout=20, check=False)  # noqa: S602


def test_the_lines_that_it_prints_work_while_it_goes_on(demos: tuple[Process, Process]) -> None:
    demo = demos[1]
    demo.wait_for("Running until Ctrl-C")
    lines = demo.output.replace("\\\n", "").splitlines()
    starts = ("  holdfast fault", "  holdfast ask", "  curl")
    fault, ask, curl = (next(line for line in lines if line.startswith(words)) for words in starts)
    assert "primary: 503\n" == pasted(fault).stdout
    asked = pasted(ask)
    assert (0, True) == (asked.returncode, "failover from primary/demo (http_503)" in asked.stderr)
    if shutil.which("curl"):
        assert "data: [DONE]" in pasted(curl).stdout
        demo.wait_for(r"\n    chat +primary 503 x2, \d+ ms > backup ok, \d+ ms +whole answer")
    demo.wait_for(r"\n    default +primary 503 x2, \d+ ms > backup ok, \d+ ms +whole answer")
    demo.send(signal.SIGINT)
    assert 0 == demo.end()
    assert "Traceback" not in demo.output
    assert max(map(len, demo.output.splitlines())) <= 100


def test_once_it_ends_after_the_story(demos: tuple[Process, Process]) -> None:
    assert 0 == demos[0].end()
    assert 7 == len(re.findall(r"^  \d ", demos[0].output, re.MULTILINE))
    assert "Now you." not in demos[0].output


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--once"], 1)])
def test_a_story_that_is_broken_off(start: Callable[..., Process], words: list[str], code: int) -> None:
    demo = start("demo", *words) if words else start("demo", "--port", "0")
    demo.wait_for("  1 just ask")
    demo.send(signal.SIGTERM)
    assert code == demo.end()
    assert demo.output.endswith("\nstopped before the end of the story\n")
    assert "Traceback" not in demo.output


def test_a_port_that_was_asked_for_and_is_taken(start: Callable[..., Process], taken: int) -> None:
    demo = start("demo", "--port", str(taken))
    assert 1 == demo.end()
    assert demo.output.startswith(f"holdfast: port {taken} is taken; try --port ")
