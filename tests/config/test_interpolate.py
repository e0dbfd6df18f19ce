import pytest

from proxy.config.load import load
from proxy.config.resolve import resolve
from tests.config.checking import MINIMAL, check, everything, found, messages


def host_of(value: str, **environ: str) -> str:
    loaded = check(f"{MINIMAL}server: {{host: {value}}}\nclients: [{{name: a, key: 12345678x}}]\n", environ)
    assert loaded.config is not None, found(loaded)
    return loaded.config.server.host


@pytest.mark.parametrize(
    ("written", "result"),
    [
        ('"${H}"', "h"),
        ('"a${H}b${H}"', "ahbh"),
        ('"${UNSET:-d}"', "d"),
        ('"${EMPTY:-d}"', "d"),
        ('"${UNSET:-a:-b $x}"', "a:-b $x"),
        ("os.environ/H", "h"),
        ('"os.environ/H"', "h"),
        ('"$${H}"', "${H}"),
        ('"$$$$"', "$$"),
        ('"a$b$"', "a$b$"),
        ('"$H"', "$H"),
        ('"x os.environ/H"', "x os.environ/H"),
        ('"${YAML}"', "{a: [b"),
        ('"${RECURSIVE}"', "${H}"),
    ],
)
def test_references(written: str, result: str) -> None:
    assert host_of(written, H="h", EMPTY="", YAML="{a: [b", RECURSIVE="${H}") == result


def test_files_lose_one_newline() -> None:
    text = MINIMAL.replace("{kind: ollama}", '{kind: openai, api_key: "${file:/run/key}"}')
    loaded = check(text, files={"/run/key": "sk-1\r\n"})
    assert loaded.config is not None
    assert resolve(loaded.config, {}).upstreams["local"].keys == ("sk-1",)


@pytest.mark.parametrize(("value", "result"), [("${P:-8400}", 8400), ("${P}", 9000), ("os.environ/P", 9000)])
def test_a_plain_reference_is_read_like_a_plain_scalar(value: str, result: int) -> None:
    environ = {} if ":-" in value else {"P": "9000"}
    loaded = check(
        f"{MINIMAL}server: {{port: {value}}}\n" if "{" not in value else f"{MINIMAL}server:\n  port: {value}\n", environ
    )
    assert loaded.config is not None, found(loaded)
    assert loaded.config.server.port == result


def test_numbers_booleans_and_durations_by_reference() -> None:
    loaded = check(
        "version: ${V}\nupstreams:\n  demo:\n    kind: simulated\n    only_without_keys: ${B}\n"
        "defaults:\n  deadline: ${D}\n  retry:\n    patience: ${Z}\n    budget:\n      ratio: ${R}\n"
        "routes:\n  a: {chain: [demo/x]}\n",
        {"V": "1", "B": "true", "D": "30s", "Z": "0", "R": "0.5"},
    )
    assert loaded.config is not None, found(loaded)
    assert loaded.config.defaults.retry.patience == 0
    assert loaded.config.defaults.retry.budget.ratio == 0.5
    assert loaded.config.upstreams["demo"].only_without_keys


def test_a_quoted_reference_is_a_number_where_one_is_wanted() -> None:
    """Within braces YAML wants it quoted, and nobody means the text."""
    loaded = check(f'{MINIMAL}server: {{port: "${{P}}"}}\n', {"P": "9000"})
    assert loaded.config is not None, found(loaded)
    assert loaded.config.server.port == 9000


def test_a_key_of_digits_stays_text() -> None:
    loaded = check(MINIMAL.replace("{kind: ollama}", "\n    kind: openai\n    api_key: ${K}"), {"K": "123456"})
    assert loaded.config is not None, found(loaded)


@pytest.mark.parametrize(
    ("upstream", "environ", "why"),
    [
        ("api_key: ${K}", {}, "K is not set"),
        ("api_key: ${K}", {"K": ""}, "K is empty"),
        ("api_key: ${K:-}", {}, "K is not set"),
        ("api_key: os.environ/K", {}, "K is not set"),
        ("api_keys: ['${A}', '${B}']", {}, "A is not set"),
        ("api_keys: ['${A:-}', '${B:-}']", {}, "A is not set"),
        ("base_url: ${URL}", {}, "URL is not set"),
        ("base_url: https://${HOST}/v1", {}, "HOST is not set"),
        ("base_url: ${URL:-}", {}, "URL is not set"),
    ],
)
def test_an_upstream_without_key_or_address_is_skipped(upstream: str, environ: dict[str, str], why: str) -> None:
    text = f"version: 1\nupstreams:\n  l: {{kind: ollama}}\n  u:\n    kind: openai\n    {upstream}\n"
    text += "routes:\n  r: {chain: [u/m, l/m]}\n"
    loaded = check(text, environ)
    assert loaded.config is not None, found(loaded)
    assert loaded.unconfigured == {"u": why}
    assert f"{why}: upstream u is skipped" in messages(loaded)
    steps = resolve(loaded.config, loaded.unconfigured).routes["r"].steps
    assert [step.unusable for step in steps] == [why, None]


def test_the_warning_stands_at_the_reference() -> None:
    loaded = check(MINIMAL.replace("{kind: ollama}", '{kind: openai, api_key: "${OPENAI_API_KEY}"}'))
    assert loaded.render("text").startswith(
        "routes.yaml:3:34: warning: OPENAI_API_KEY is not set: upstream local is skipped  [upstreams.local.api_key]\n"
        '   3 |   local: {kind: openai, api_key: "${OPENAI_API_KEY}"}\n'
        "     |                                  ^\n"
    )


def test_a_pool_works_with_the_keys_it_has() -> None:
    loaded = check(MINIMAL.replace("{kind: ollama}", '{kind: openai, api_keys: ["${A}", "${B}"]}'), {"B": "sk-b"})
    assert messages(loaded) == ["A is not set: upstream local has one key less"]
    assert loaded.config is not None
    assert resolve(loaded.config, loaded.unconfigured).upstreams["local"].keys == ("sk-b",)


def test_an_optional_key_may_be_empty_where_none_is_needed() -> None:
    loaded = check(MINIMAL.replace("{kind: ollama}", '{kind: ollama, api_key: "${K:-}"}'))
    assert messages(loaded) == []
    assert loaded.unconfigured == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("${H}", "H is not set; set it, or give a default: ${H:-...}"),
        ("os.environ/H", "H is not set; set it, or give a default: ${H:-...}"),
        ("${H", "'${' without its '}'; write $$ for a plain $"),
        ("${}", "this reference cannot be read; write ${NAME}, ${NAME:-default} or ${file:PATH}"),
        ("${1X}", "this reference cannot be read; write ${NAME}, ${NAME:-default} or ${file:PATH}"),
        ("${H-x}", "this reference cannot be read; write ${NAME}, ${NAME:-default} or ${file:PATH}"),
        ("${file:/none}", "cannot read /none: No such file or directory"),
    ],
)
def test_a_reference_that_cannot_be_replaced(value: str, message: str) -> None:
    loaded = check(f'{MINIMAL}server: {{host: "{value}"}}\n')
    assert found(loaded) == [f"6:16 error: {message} [server.host]"]
    assert loaded.config is None


def test_the_reason_of_an_unreadable_file() -> None:
    def read(path: str) -> str:
        raise {"dir": IsADirectoryError(21, "Is a directory"), "nul": ValueError("embedded null byte")}.get(
            path, UnicodeDecodeError("utf-8", b"\xff", 0, 1, "secret")
        )

    text = "".join(
        f"  u{n}: {{kind: ollama, api_key: '${{file:{path}}}'}}\n" for n, path in enumerate(["dir", "nul", "bin"])
    )
    loaded = load(MINIMAL.replace("routes:", f"{text}routes:"), filename="f", environ={}, read_file=read)
    assert messages(loaded)[:3] == [
        "cannot read dir: Is a directory",
        "cannot read nul: it cannot be opened",
        "cannot read bin: it is not UTF-8 text",
    ]


def test_all_unset_variables_show_at_once_and_hide_what_follows_from_them() -> None:
    loaded = check(
        f'{MINIMAL}server: {{host: "${{A}}", port: "${{B}}", prot: 1}}\nclients: [{{name: x, key: "${{C}}"}}]\n'
    )
    assert messages(loaded) == [
        "A is not set; set it, or give a default: ${A:-...}",
        "B is not set; set it, or give a default: ${B:-...}",
        "unknown key 'prot'; did you mean 'port'?",
        "C is not set; set it, or give a default: ${C:-...}",
    ]


def test_references_in_keys_are_text() -> None:
    loaded = check(MINIMAL.replace("chat:", '"${NAME}":'))
    assert loaded.config is not None
    assert list(loaded.config.routes) == ["${NAME}"]


def test_a_reference_behind_an_alias_is_one_finding() -> None:
    text = MINIMAL + "  a: &a {chain: [local/m], last_resort: {text: '${X}'}}\n  b: *a\n"
    assert len(check(text).findings) == 1


SECRET = "S3CR3T-value"


@pytest.mark.parametrize("template", ["${V}", "x${V}", "os.environ/V", "${file:f}", "${U:-S3CR3T-value}"])
@pytest.mark.parametrize(
    "place",
    [
        "version: '@'\n",
        "server: {host: '@'}\n",
        "server: {port: '@'}\n",
        "server: {max_body: '@'}\n",
        "server: '@'\n",
        "upstreams: {x: '@'}\n",
        "upstreams: {x: {kind: '@'}}\n",
        "upstreams: {x: {kind: openai, api_key: '@', base_url: 5}}\n",
        "upstreams: {x: {kind: openai, api_keys: '@'}}\n",
        "upstreams: {x: {kind: openai, api_keys: ['@', '@']}}\n",
        "upstreams: {x: {kind: openai, base_url: '@'}}\n",
        "upstreams: {x: {kind: openai, base_url: 'https://u:@@h'}}\n",
        "upstreams: {x: {kind: openai, models: {m: {quality: '@', context: '@'}}}}\n",
        "routes: {x: {chain: '@'}}\n",
        "routes: {x: {chain: ['@', '@/m', 'l/@', {to: '@'}]}}\n",
        "routes: {x: {chain: [l/m], deadline: '@', last_resort: '@'}}\n",
        "clients: [{name: '@', key: '@', key_hash: '@', routes: ['@', '*@']}]\n",
        "clients: [{name: a, key: '@', routes: ['@', '*@']}, {name: a, key: '@'}]\n",
        "admin: {key: ['@']}\n",
        "telemetry: {log: {format: '@', level: '@'}}\n",
        "surprise: '@'\n",
    ],
)
def test_no_value_of_a_variable_or_file_is_ever_shown(place: str, template: str) -> None:
    base = {
        "version": "version: 1\n",
        "upstreams": "upstreams: {l: {kind: ollama}}\n",
        "routes": "routes: {r: {chain: [l/m]}}\n",
    }
    base[place.partition(":")[0]] = place.replace("@", template)
    text = "".join(base.values())
    if template.startswith("${U"):
        # A default stands in the file itself: only the lines of the file may show it, and not behind a key's name.
        loaded = check(text)
        assert SECRET not in loaded.render("json")
    else:
        loaded = check(text, {"V": SECRET}, {"f": SECRET})
        assert SECRET not in everything(loaded)
