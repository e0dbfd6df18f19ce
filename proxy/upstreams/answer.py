"""One HTTP/1.1 answer, from bytes to status, headers and body. Sans-IO.

Theory of operation. llhttp (by way of httptools, in its strict mode) takes bytes apart; what it lets pass although two
readers could understand it differently is refused here. An answer is never guessed: it ends as `complete` or with a
`failure`, and which of them does not depend on how its bytes were cut into packets.

    head --(blank line)--> body --(length reached, last chunk, or the end of the connection)--> complete
      |                      |
      +-- failure            +-- failure, after the pieces of the body that came before it

Interim answers (1xx) are skipped. A failure is `reset` if not a byte came, `bad_head` for anything wrong before the
first byte of the body, and `cut` after it or when the connection ends within the body. An answer stands alone: its
connection may serve another one only if this one is `reusable`.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from multidict import CIMultiDict

from proxy.core.failure import Failure, FailureClass

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head, of a trailer, and of anything else that comes without a byte of the body."""
MAX_FIELDS: Final = 256
_FIELD_OVERHEAD = 4
"""Bytes of a header line that are neither its name nor its value: colon, blank, CR, LF."""
_BODILESS = frozenset({204, 304})

_RESET = Failure(FailureClass.RESET, "reset", "the connection ended without an answer")
_HALF_HEAD = Failure(FailureClass.BAD_ANSWER, "bad_head", "the connection ended within the answer's head")
_BAD_HEAD = Failure(FailureClass.BAD_ANSWER, "bad_head", "the answer's head is not valid HTTP")
_CUT = Failure(FailureClass.BAD_ANSWER, "cut", "the connection broke within the answer")


class _NotHttpError(Exception):
    """Something that llhttp lets pass and that is refused all the same."""


def _check_chunked(fields: list[tuple[bytes, bytes]], version: str, *, interim: bool) -> None:
    """Only what every reader understands alike. llhttp has seen to it that there is no Content-Length besides.

    It does not know `chunked` with a blank behind it for what it is, and would read to the end of the connection.
    """
    codings = [value.lower() for name, value in fields if name.lower() == b"transfer-encoding"]
    if interim or version != "1.1" or codings != [b"chunked"]:
        raise _NotHttpError("a transfer encoding that is not plainly chunked")


class Answer:
    """One answer, as far as its bytes are in. `failure` counts once the body that came before it is taken."""

    __slots__ = (
        "_begun", "_fields", "_parser", "_pieces", "_silent", "_until_close", "complete", "failure", "headers",
        "received", "reusable", "status", "unread",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is in."""
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.received = 0
        """Bytes that came, whatever they were."""
        self.unread = 0
        """Bytes of the body that wait to be taken."""
        self.complete = False
        self.failure: Failure | None = None
        self.reusable = False
        """The answer is complete, its connection stays open, and nothing came after it."""
        self._pieces: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._begun = False
        self._silent = 0
        self._until_close = False
        self._parser: HttpResponseParser | None = HttpResponseParser(self)

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.complete or self.failure is not None

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection, of an answer that is not over. None may be empty."""
        parser, unread = self._parser, self.unread
        if parser is None:
            return
        if not self.received and data[0] != 0x48:
            # llhttp would skip blank lines and take RTSP. With an H, nothing but "HTTP/" can follow.
            self._fail(_BAD_HEAD)
            return
        self.received += len(data)
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if self.complete:
                self.reusable = False
            else:
                self._fail(_CUT if self._begun else _BAD_HEAD)
            return
        if self.unread != unread:
            self._silent = 0
        elif not self.complete:
            self._silent += len(data)
            if self._silent > MAX_HEAD:
                self._fail(_CUT if self._begun else _BAD_HEAD)

    def end(self, *, clean: bool = True) -> None:
        """The connection has ended: by the other side's decision (`clean`), or broken."""
        if self.over:
            return
        if self.status:
            if self._until_close and clean:
                self.on_message_complete()
            else:
                self._fail(_CUT)
        else:
            self._fail(_HALF_HEAD if self.received else _RESET)

    def take(self) -> bytes:
        """The body's bytes that wait."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        return data

    def discard(self) -> None:
        """Forget the body's bytes that wait."""
        self._pieces.clear()
        self.unread = 0

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self._let_go()

    def _let_go(self) -> None:
        # The parser holds bound methods of the answer: a cycle that only the collector would undo.
        self._parser = None
        self._fields = []

    # llhttp's calls

    def on_message_begin(self) -> None:
        """A head begins. After the end of the answer it is one that nobody asked for."""
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which counts for nothing."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """The blank line after the head."""
        fields, parser = self._fields, self._parser
        if parser is None or self.status:
            return
        if self.received > MAX_HEAD and sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in fields) > (
            MAX_HEAD
        ):
            raise _NotHttpError("too long a head")
        if len(fields) > MAX_FIELDS:
            raise _NotHttpError("too many headers")
        headers = CIMultiDict(
            [(name.decode("latin-1"), value.rstrip(b" \t").decode("latin-1")) for name, value in fields]
        )
        self._fields = []
        status, version = parser.get_status_code(), parser.get_http_version()
        if version not in {"1.1", "1.0"} or status < 100 or status == 101:
            raise _NotHttpError("another protocol")
        if "transfer-encoding" in headers:
            _check_chunked(fields, version, interim=status < 200)
        elif "content-length" not in headers:
            self._until_close = status >= 200 and status not in _BODILESS
        elif status < 200:
            raise _NotHttpError("an interim answer with a body")
        if status >= 200:
            self.status, self.headers = status, headers

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if not self.complete:
            self._pieces.append(data)
            self.unread += len(data)
            self._begun = True

    def on_message_complete(self) -> None:
        """The end of the answer, or of an interim one."""
        if self.status and not self.complete and self._parser is not None:
            self.complete = True
            self.reusable = not self._until_close and self._parser.should_keep_alive()
            self._let_go()
