import pytest

from proxy.cli.ollama import ollama_url


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        ("box:99", "http://box:99"),
        (":99", "http://127.0.0.1:99"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - it is read, not listened on
        ("0.0.0.0:99", "http://127.0.0.1:99"),
        ("[::]:99", "http://[::1]:99"),
        ("http://box", "http://box:80"),
        ("https://box/", "https://box:443"),
        ("http://box:99/", "http://box:99"),
        ('"box"', "http://box:11434"),
        ("box:nonsense", "http://127.0.0.1:11434"),
        ("file:///etc/hosts", "http://127.0.0.1:11434"),
    ],
)
def test_where_ollama_listens(given: str, url: str) -> None:
    assert url == ollama_url({"OLLAMA_HOST": given})


def test_without_the_variable_it_is_the_usual_place() -> None:
    assert "http://127.0.0.1:11434" == ollama_url({})
