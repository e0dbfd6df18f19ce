"""Images, sound and files."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.gemini.dialect import GEMINI
from tests.dialects.gemini.wire import MODEL, asking, contents

PNG, JPEG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20, b"\xff\xd8\xff\xe0" + b"\0" * 20
WEBP, GIF = b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 20, b"GIF89a" + b"\0" * 20
HEIC, PDF = b"\0\0\0\x18ftypheic" + b"\0" * 20, b"%PDF-1.7\n" + b"\0" * 20
WAV = b"RIFF\0\0\0\0WAVEfmt " + b"\0" * 20


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def image(url: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def part(item: dict[str, Any], model: str = MODEL) -> dict[str, Any]:
    found: dict[str, Any] = contents({"role": "user", "content": [item]}, model=model)[0]["parts"][0]
    return found


@pytest.mark.parametrize(
    ("told", "data", "media"),
    [
        ("image/png", PNG, "image/png"),
        ("image/png", JPEG, "image/jpeg"),
        ("image/jpg", b"??????????????????????????", "image/jpeg"),
        ("image/jpeg", WEBP, "image/webp"),
        ("", HEIC, "image/heic"),
        ("application/octet-stream", PDF, "application/pdf"),
        ("image/png", b"", "image/png"),
    ],
)
def test_the_bytes_say_what_an_image_is(told: str, data: bytes, media: str) -> None:
    sent = part(image(f"data:{told};base64,{b64(data)}"))

    assert {"inlineData": {"mimeType": media, "data": b64(data)}} == sent


def test_more_ways_to_say_an_image() -> None:
    url = f"data:image/png;charset=x;base64,{b64(PNG)}"

    assert part(image(url)) == part({"type": "image_url", "image_url": url})
    assert part(image(url)) == part({"type": "video_url", "video_url": {"url": url}})


def test_addresses_are_fetched_by_those_who_can() -> None:
    there = "https://example.org/a.b/cat.JPG?x=1.png"

    assert {"fileData": {"fileUri": there, "mimeType": "image/jpeg"}} == part(image(there))
    assert {"fileData": {"fileUri": "https://example.org/cat"}} == part(image("https://example.org/cat"))
    assert {"fileData": {"fileUri": "gs://bucket/a.pdf", "mimeType": "application/pdf"}} == part(
        {"type": "file", "file": {"file_data": "gs://bucket/a.pdf"}}
    )
    own = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    assert {"fileData": {"fileUri": own}} == part(image(own), "gemini-2.0-flash")


@pytest.mark.parametrize(
    ("form", "data", "media"),
    [
        ("wav", WAV, "audio/wav"),
        ("mp3", WAV, "audio/wav"),
        ("mp3", b"\xff\xfb" * 20, "audio/mp3"),
        (None, b"", "audio/wav"),
    ],
)
def test_sound(form: str | None, data: bytes, media: str) -> None:
    sent = part({"type": "input_audio", "input_audio": {"data": b64(data), "format": form}})

    assert {"inlineData": {"mimeType": media, "data": b64(data)}} == sent


@pytest.mark.parametrize(
    ("file", "media"),
    [
        ({"file_data": f"data:application/pdf;base64,{b64(PDF)}"}, "application/pdf"),
        ({"file_data": b64(PDF), "filename": "a.txt"}, "application/pdf"),
        ({"file_data": b64(b"words"), "filename": "a.txt"}, "text/plain"),
        ({"file_data": b64(b"words")}, "application/pdf"),
    ],
)
def test_files(file: dict[str, str], media: str) -> None:
    assert media == part({"type": "file", "file": file})["inlineData"]["mimeType"]


@pytest.mark.parametrize(
    ("item", "model"),
    [
        (image("http://example.org/cat.png"), MODEL),
        (image("ftp://example.org/cat.png"), MODEL),
        (image("https://"), MODEL),
        (image("https://[bad/cat.png"), MODEL),
        (image("cat.png"), MODEL),
        (image("https://example.org/cat.png"), "gemini-2.0-flash"),
        (image("https://example.org/cat.gif"), MODEL),
        (image(f"data:image/png;base64,{b64(GIF)}"), MODEL),
        (image("data:image/svg+xml,<svg/>"), MODEL),
        (image("data:"), MODEL),
        (image(5), MODEL),
        ({"type": "file", "file": {"file_id": "file-1"}}, MODEL),
        ({"type": "input_audio", "input_audio": {"data": 5}}, MODEL),
    ],
)
def test_what_gemini_does_not_take_is_said(item: dict[str, Any], model: str) -> None:
    with pytest.raises(NotCarriedError):
        GEMINI.write(asking([{"role": "user", "content": [item]}], model))
