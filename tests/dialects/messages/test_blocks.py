"""The end of JSON that comes in pieces."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.messages.blocks import JsonEnd

texts = st.text(alphabet='ab"\\{}[],:\n', max_size=6)
objects = st.dictionaries(texts, texts | st.integers() | st.lists(texts | st.dictionaries(texts, texts)), max_size=4)


@given(objects, st.data())
def test_an_object_is_complete_at_its_last_character(its: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(its)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text) - 1), max_size=6)))
    end = JsonEnd()
    for a, b in zip([0, *cuts], [*cuts, len(text) - 1], strict=True):
        end.feed(text[a:b])
        assert not end.complete
    end.feed(text[-1])
    assert end.complete
