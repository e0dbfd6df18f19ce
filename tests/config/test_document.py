import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config import yaml_nodes
from proxy.config.document import read_document
from proxy.config.yaml_nodes import Place


@pytest.fixture(params=["C", "Python"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "Python":
        monkeypatch.setattr(yaml_nodes, "_LOADER", yaml.SafeLoader)


def problem(text: str | bytes) -> tuple[int, int, str]:
    (place, message), *_ = read_document(text).problems
    return place.line, place.column, message


def test_data_and_the_places_of_keys_and_values() -> None:
    document = read_document("a: 1\nb:\n  c: [x, 'y']\n")
    assert document.data == {"a": 1, "b": {"c": ["x", "y"]}}
    assert document.places["a",] == (Place(1, 1), Place(1, 4))
    assert document.places["b", "c"] == (Place(3, 3), Place(3, 6))
    assert document.places["b", "c", 1] == (Place(3, 10), Place(3, 10))
    assert document.nearest(("b", "c", 7, "z")) == ("b", "c")
    assert not document.problems


def test_words_of_yaml_1_1_are_text() -> None:
    document = read_document("a: [on, no, 012, 12:30, 1_000, off]\n")
    assert document.data == {"a": ["on", "no", 12, "12:30", "1_000", "off"]}


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("", 1, 1, "empty; `holdfast init`"),
        ("# only a comment\n", 1, 1, "empty"),
        ("null", 1, 1, "empty"),
        ("- a\n", 1, 1, "not a list"),
        ("just text\n", 1, 1, "not a single value"),
        (b"ok: 1\na: \xff\n", 2, 4, "not UTF-8"),
        (b"\xff\xfea\x00:\x00", 1, 1, "not UTF-8"),
        ("a: 1\n---\nb: 1\n", 2, 1, "second document"),
        ("a:\n\tb: 1\n", 2, 1, "a tab"),
        ("a: x\x00", 1, 5, "U+0000"),
        ("a: \ud800", 1, 4, "U+D800"),
        ("a: &x [*x]\n", 1, 8, "inside of the very thing"),
        ("a: &x {b: {c: *x}}\n", 1, 15, "inside of the very thing"),
        ("a: *secret\n", 1, 4, "no anchor"),
        ("[" * 5000, 1, 51, "nested more than 50"),
        ("a: 1\n? [x]\n: 2\n", 2, 3, "a key must be text"),
        ("a: 1\n? {x: y}\n: 2\n", 2, 3, "a key must be text"),
        ("a: 1\n8080: 2\n", 2, 1, "read as a number"),
        ("a: 1\ntrue: 2\n", 2, 1, "read as a boolean"),
        ("a: 1\n~: 2\n", 2, 1, "empty"),
        ("a: 1\nb: 2\na: 3\n", 3, 1, "duplicate key 'a'; the first is on line 1"),
        ("a: !foo x\n", 1, 4, "tag"),
        ("a: !foo {x: 1}\n", 1, 4, "tag"),
        ("<<: 5\n", 1, 1, "'<<' takes a mapping"),
        ("a: @x\n", 1, 4, "cannot begin with '@'"),
        ("a: b: c\n", 1, 5, "a ':' that does not fit"),
        ("a: [1, 2\nb: 3\n", 1, 4, "'[' opens here is not closed"),
        ("a: {b: ${K}}\n", 1, 9, "a reference needs quotes"),
        ("a: [${K}]\n", 1, 6, "a reference needs quotes"),
        ("a: {b: 1\n", 1, 4, "'{' opens here is not closed"),
        ("a: 'x\nb: 1\n", 1, 4, "never closed"),
        ("a:\n  b: 1\n c: 2\n", 3, 2, "indentation"),
        ("- a\nb: 1\n", 2, 1, "indentation"),
        ("a: |x\n  y\n", 1, 5, "next line"),
        ("a: &\n", 1, 4, "'&' and '*'"),
        ("a: !<\n", 1, 4, "'!' begins a tag"),
        ("}", 1, 1, "a value is missing"),
        ("a: 1\n...\nb: 1\n", 3, 1, "indentation"),
        ("k\nb: 1\n", 2, 2, "a ':' that does not fit"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(text: str | bytes, line: int, column: int, part: str) -> None:
    assert problem(text)[:2] == (line, column)
    assert part in problem(text)[2]


def test_of_duplicate_keys_the_first_is_kept() -> None:
    assert read_document("a: 1\na: 2\n").data == {"a": 1}


def test_a_byte_order_mark_and_any_line_ends_are_fine() -> None:
    document = read_document(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.data == {"a": 1, "b": 2}
    assert document.places["b",][0] == Place(2, 1)
    assert document.source_lines == ("a: 1", "b: 2")


def test_anchors_and_merge_keys() -> None:
    document = read_document(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], z: 3}\nd: {y: 4, <<: *b}\ne: *a\nf: {'<<': 1}\n"
    )
    assert not document.problems
    assert document.data is not None
    assert document.data["c"] == {"x": 1, "y": 1, "z": 3}
    assert document.data["d"] == {"y": 4, "z": 2}
    assert document.data["e"] == {"x": 1, "y": 1}
    assert document.data["f"] == {"<<": 1}
    assert document.places["c", "x"] == (Place(1, 8), Place(1, 11))


def test_explicit_core_tags_are_understood() -> None:
    document = read_document("a: !!str 5\nb: !!int '5'\nc: !!map {x: 1}\n")
    assert document.data == {"a": "5", "b": 5, "c": {"x": 1}}


@pytest.mark.parametrize("shape", ["[{}]", "{{<<: [{}], k{}: 1}}"])
def test_a_billion_laughs_are_a_finding(shape: str) -> None:
    lines = ["a: &n0 [x, x, x, x, x, x, x, x, x, x]" if shape[0] == "[" else "a: &n0 {x: 1}"]
    for number in range(12):
        inner = ", ".join([f"*n{number}"] * 10)
        lines.append(f"b{number}: &n{number + 1} " + shape.format(inner, number))
    document = read_document("\n".join(lines))
    if shape[0] == "[":
        assert "explode" in document.problems[0][1]
        assert document.data is None
    else:
        assert not document.problems


def test_wide_merges_are_bounded() -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(2000))
    text = f"a: &a {{{wide}}}\n" + "".join(f"b{n}: {{<<: *a}}\n" for n in range(200))
    assert "explode" in problem(text)[2]


@pytest.mark.parametrize(
    "text",
    [
        'api_key: "S3CRETS3CRET',
        "api_keys:\n  - 'S3CRETS3CRET\n",
        "x: {api_key: *S3CRETS3CRET}",
        "api_key: S3CRETS3CRET\napi_key: S3CRETS3CRET\n",
        "api-key: S3CRETS3CRET: x\n",
        "apikey:S3CRETS3CRET\nfoo: b\n",
        "api_key: {S3CRETS3CRET: S3CRETS3CRET}",
        "api_keys: [[S3CRETS3CRET], {a: S3CRETS3CRET}]",
        "api_key: |\n  S3CRETS3CRET\n  S3CRETS3CRET\nb: 1",
        "api_key: ${K:-S3CRETS3CRET}",
        "base_url: https://u:S3CRETS3CRET@host/v1",
        "base_url: https://host/v1?api_key=S3CRETS3CRET",
        b"api_key: S3CRETS3CRET\xff",
        "a: {kind: openai, api_key:S3CRETS3CRET}",
        "api_key:S3CRETS3CRET",
    ],
)
def test_lines_and_messages_show_no_secret(text: str | bytes) -> None:
    document = read_document(text)
    assert "S3CRET" not in "\n".join(document.source_lines)
    assert "S3CRET" not in str(document.problems)


def test_masking_keeps_columns_and_what_is_harmless() -> None:
    document = read_document("u: {api_key: abc, first_token: 3s, x: $K, api_keys: ['${A}']}\n")
    assert document.source_lines == ("u: {api_key: ***, first_token: 3s, x: $K, api_keys: ['${A}']}",)


@given(st.one_of(st.text(), st.binary(), st.text("ab:-[]{}&*<>!|'\"\n\t #%@?,0"), st.text("a:&*< \n[]{},")))
@settings(max_examples=200, deadline=None)
def test_no_text_raises(text: str | bytes) -> None:
    document = read_document(text)
    assert (document.data is None) <= bool(document.problems)
    for place, _ in document.problems:
        assert place.line >= 1
        assert place.column >= 1
