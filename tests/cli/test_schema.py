import json

from proxy.config.json_schema import json_schema


def test_it_prints_the_schema(cli) -> None:
    result = cli("schema")
    assert (json_schema(), 0) == (json.loads(result.stdout), result.exit_code)
