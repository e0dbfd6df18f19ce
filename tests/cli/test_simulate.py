import json
import signal
import urllib.request

import pytest

from tests.cli.conftest import one_line


def test_upstreams_with_faults_until_told_to_stop(start) -> None:
    process = start("simulate", "--port", "0", "--fault", "backup=cut:after=9")
    primary = process.wait_for(r"primary  (http://127\.0\.0\.1:\d+)/v1  healthy").group(1)
    control = process.wait_for(r"control  (http://127\.0\.0\.1:\d+)  ").group(1)
    process.wait_for(r"backup   http://127\.0\.0\.1:\d+/v1  cut:after=9")
    for url in (f"{primary}/v1/models", f"{control}/faults"):
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - on this machine
            assert 200 == response.status
    process.send(signal.SIGTERM)
    assert 0 == process.end()
    assert "Traceback" not in process.output


def test_as_json_and_ctrl_c(start) -> None:
    process = start("simulate", "--json", "--port", "0", "--upstream", "one", "--fault", "one=503")
    shown = json.loads(process.wait_for(r"\{.*\}\n").group())
    assert ({"one"}, "503") == (set(shown["upstreams"]), shown["upstreams"]["one"]["fault"])
    process.send(signal.SIGINT)
    assert 0 == process.end()
    assert 1 == len(process.output.splitlines())


def test_a_port_that_is_taken(start, taken: int) -> None:
    process = start("simulate", "--upstream", "a", "--port", str(taken), "--control-port", "0")
    assert 1 == process.end()
    said = f"holdfast: cannot have ports {taken}: Address already in use; choose others with --port\n"
    assert said == process.output.lower().replace("address", "Address")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fault", "primary=stal"], "unknown fault 'stal'; did you mean 'stall'?"),
        (["--fault", "zzz=503"], "--fault zzz=503: write NAME=FAULT, with one of the upstreams primary, backup"),
        (["--fault", "primary"], "--fault primary: write NAME=FAULT, with one of the upstreams primary, backup"),
        (["--upstream", "a", "--upstream", "a"], "--upstream: names must differ from each other; got 'a', 'a'"),
        (["--upstream", ""], "--upstream: names must differ from each other; got ''"),
        (["--port", "65535"], "--port 65535 leaves no room for 2 ports; the highest is 65535"),
        (["--control-port", "9002"], "--control-port 9002 is an upstream's; theirs are 9001 to 9002"),
        (["--tokens-per-second", "-1"], "--tokens-per-second"),
    ],
)
def test_wrong_usage(cli, words: list[str], said: str) -> None:
    line = one_line(cli("simulate", *words), 2)
    assert line.startswith("holdfast simulate: ")
    assert said in line
