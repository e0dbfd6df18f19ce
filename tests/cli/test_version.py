import json
import platform

from proxy import __version__


def test_for_people(cli) -> None:
    assert f"holdfast {__version__} (Python {platform.python_version()})\n" == cli("version").stdout


def test_for_programs(cli) -> None:
    shown = json.loads(cli("version", "--json").stdout)
    assert {"holdfast": __version__, "python": platform.python_version()} == shown
