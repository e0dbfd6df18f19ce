"""Data URLs, and what their bytes are."""

import pytest

from proxy.dialects.media import DataUrl, image_format, read_data_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,AAAA", DataUrl("image/png", "AAAA")),
        ("DATA:Image/PNG;charset=x;BASE64,AAAA", DataUrl("image/png", "AAAA")),
        ("data:text/plain,a%20b", DataUrl("text/plain", "YSBi")),
        ("data:,x", DataUrl("", "eA==")),
        ("data:", DataUrl("", "")),
        ("https://a/b.png", None),
        ("", None),
    ],
)
def test_data_urls(url: str, expected: DataUrl | None) -> None:
    assert expected == read_data_url(url)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (DataUrl("image/jpeg", "iVBORw0KGgo="), "png"),
        (DataUrl("", "/9j/4AAQSkZJRg=="), "jpeg"),
        (DataUrl("", "R0lGODlhAQ=="), "gif"),
        (DataUrl("image/png", "UklGRiQAAABXRUJQVlA4"), "webp"),
        (DataUrl("image/jpg", "AAAA"), "jpeg"),
        (DataUrl("image/webp", "not base64!"), "webp"),
    ],
)
def test_the_bytes_say_what_an_image_is(image: DataUrl, expected: str) -> None:
    assert expected == image_format(image)
