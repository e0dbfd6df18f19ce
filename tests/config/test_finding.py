import json

from proxy.config.finding import Finding, as_github, as_json, as_text, printable

FINDING = Finding("error", "unknown key 'tiemout'; did you mean 'timeout'?", 8, 5, "upstreams.gpt", "routes.yaml")
LINES = [""] * 7 + ["    tiemout: 3"]


def test_text_is_the_message_the_line_and_a_caret() -> None:
    assert as_text(FINDING, LINES) == (
        "routes.yaml:8:5: error: unknown key 'tiemout'; did you mean 'timeout'?  [upstreams.gpt]\n"
        "   8 |     tiemout: 3\n"
        "     |     ^"
    )


def test_a_finding_about_the_whole_file_has_no_line() -> None:
    assert as_text(Finding("error", "no such file", 0, 0, "", "x.yaml"), []) == "x.yaml: error: no such file"
    assert as_github(Finding("error", "no such file", 0, 0, "", "x.yaml")) == "::error file=x.yaml::no such file"


def test_the_caret_minds_tabs_and_wide_characters() -> None:
    finding = Finding("error", "m", 1, 4, "", "f")
    assert as_text(finding, ["日\tax"]).splitlines()[1:] == ["   1 | 日    ax", "     |        ^"]


def test_a_long_line_is_shown_around_the_column() -> None:
    text = as_text(Finding("error", "m", 1, 501, "", "f"), ["a" * 500 + "X" + "b" * 500])
    line, caret = text.splitlines()[1:]
    assert len(line) < 200
    assert line[caret.index("^")] == "X"


def test_nothing_moves_the_cursor() -> None:
    finding = Finding("error", "bad\x1b[2J\nthing", 1, 1, "a\rb", "f\x07")
    assert as_text(finding, ["\x1b[31mred"]) == (
        "f\\x07:1:1: error: bad\\x1b[2J\\nthing  [a\\rb]\n   1 | \\x1b[31mred\n     | ^"
    )
    assert printable("日本 ok") == "日本 ok"


def test_github_escapes_what_would_end_its_fields() -> None:
    finding = Finding("warning", "100%\nnew: line", 3, 4, "a.b", "dir,a:b%.yaml")
    assert as_github(finding) == "::warning file=dir%2Ca%3Ab%25.yaml,line=3,col=4::100%25\\nnew: line  [a.b]"


def test_json_has_every_field() -> None:
    assert json.loads(json.dumps(as_json(FINDING))) == {
        "severity": "error",
        "message": FINDING.message,
        "file": "routes.yaml",
        "line": 8,
        "column": 5,
        "path": "upstreams.gpt",
    }
