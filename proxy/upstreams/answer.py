"""One HTTP/1.1 answer, from bytes to status, headers and body. Sans-IO.

Theory of operation. llhttp (by way of httptools, in its strict mode) takes bytes apart; what it lets pass although two
readers could understand it differently is refused here. An answer is never guessed: it ends as `complete` or with a
`failure`, and which of them does not depend on how its bytes were cut into packets.

A parser costs more than what it reads, and nearly all answers are of one form. So a head that is plainly what it is
(`usual_head.py`), the body whose length it tells, and chunks that are plain (`chunks.py`) are taken without one; what
is made of them is what the parser would make. It is asked for all else, wherever that begins.

    head --(blank line)--> body --(length reached, last chunk, or the end of the connection)--> complete
      |                      |
      +-- failure            +-- failure, after the pieces of the body that came before it

Interim answers (1xx) are skipped. A failure is `reset` if not a byte came, `bad_head` for anything wrong before the
first byte of the body, and `cut` after it or when the connection ends within the body. An answer stands alone: its
connection may serve another one only if this one is `reusable`.
"""

from __future__ import annotations

import re
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.core.failure import Failure, FailureClass
from proxy.upstreams.chunks import LAST_CHUNK, chunk_length, one_chunk, plain_chunks
from proxy.upstreams.usual_head import usual_head

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head, of a trailer, and of anything else that comes without a byte of the body."""
MAX_FIELDS: Final = 256
_FIELD_OVERHEAD = 4
"""Bytes of a header line that are neither its name nor its value: colon, blank, CR, LF."""
_HEADERS: Final = re.compile(r"\n([^:]+): ([^\r]*)").findall
_BODILESS = frozenset({204, 304})

_RESET = Failure(FailureClass.RESET, "reset", "the connection ended without an answer")
_HALF_HEAD = Failure(FailureClass.BAD_ANSWER, "bad_head", "the connection ended within the answer's head")
_BAD_HEAD = Failure(FailureClass.BAD_ANSWER, "bad_head", "the answer's head is not valid HTTP")
_AS_BEFORE = {
    True: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    False: b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
}
"""What brings a new parser to where another one was between two chunks, by whether the connection is kept alive."""
_CUT = Failure(FailureClass.BAD_ANSWER, "cut", "the connection broke within the answer")


class _NotHttpError(Exception):
    """Something that llhttp lets pass and that is refused all the same."""


def _check_chunked(lines: list[tuple[bytes, bytes]], version: str, *, interim: bool) -> None:
    """Only what every reader understands alike. llhttp has seen to it that there is no Content-Length besides.

    It does not know `chunked` with a blank behind it for what it is, and would read to the end of the connection.
    """
    codings = [value.lower() for name, value in lines if name.lower() == b"transfer-encoding"]
    if interim or version != "1.1" or codings != [b"chunked"]:
        raise _NotHttpError("a transfer encoding that is not plainly chunked")


class Answer:
    """One answer, as far as its bytes are in. `failure` counts once the body that came before it is taken."""

    __slots__ = (
        "_begun", "_half_size", "_kept_alive", "_lines", "_owed", "_parser", "_pieces", "_plainly_chunked", "_silent",
        "_until_close", "complete", "failure", "head", "packed", "received", "reusable", "status", "unread",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        """0 until the head is in."""
        self.head = ""
        """The headers as they came, a blank behind each colon: `field` and `headers` tell what is in it."""
        self.packed = False
        """The head tells of a content encoding."""
        self.received = 0
        """Bytes that came, whatever they were."""
        self.unread = 0
        """Bytes of the body that wait to be taken."""
        self.complete = False
        self.failure: Failure | None = None
        self.reusable = False
        """The answer is complete, its connection stays open, and nothing came after it."""
        self._pieces: list[bytes] = []
        self._lines: list[tuple[bytes, bytes]] | None = None
        """Of a head that is parsed, as far as they are in."""
        self._begun = False
        self._plainly_chunked = False
        """The body comes in chunks, and so far they were plain: where each ends is known here."""
        self._owed = 0
        """Bytes that are still to come: of a chunk which the parser has begun to see, or of a body that is counted."""
        self._half_size = b""
        """The beginning of the length of a chunk."""
        self._silent = 0
        self._until_close = False
        self._kept_alive = False
        """What the head says of the connection, where bodies are taken without the parser."""
        self._parser: HttpResponseParser | None = None

    def field(self, name: str) -> str:
        """The value of a header, by its name in lower case; empty where there is none. Of several the first counts."""
        at = self.head.lower().find(f"\n{name}: ")
        if at < 0:
            return ""
        start = at + len(name) + 3
        return self.head[start : self.head.index("\r", start)].rstrip(" \t")

    @property
    def headers(self) -> dict[str, str]:
        """All headers, by their names in lower case."""
        return {name.lower(): value.rstrip(" \t") for name, value in reversed(_HEADERS(self.head))}

    def one_chunk(self, data: bytes) -> bytes | None:
        """What is in the next bytes from the connection, these, if they are exactly one plain chunk.

        That they are taken then is not noted here: whoever asks has taken them.
        """
        return one_chunk(data) if self.between_chunks else None

    @property
    def between_chunks(self) -> bool:
        """What comes next begins a chunk, and so far they were plain."""
        return self._plainly_chunked and not self._owed and not self._half_size

    @property
    def over(self) -> bool:
        """Nothing more will come of it."""
        return self.complete or self.failure is not None

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection, of an answer that is not over. None may be empty."""
        if self.over:
            return
        if not self.received:
            self._begin(data)
            return
        self.received += len(data)
        if self._plainly_chunked:
            self._take_chunks(data)
        elif self._owed:
            self._take_counted(data)
        else:
            self._ask_parser(data)

    def _begin(self, data: bytes) -> None:
        """Take the first bytes: a usual head is read here."""
        if data[0] != 0x48:
            # llhttp would skip blank lines and take RTSP. With an H, nothing but "HTTP/" can follow.
            self._fail(_BAD_HEAD)
            return
        self.received = len(data)
        head = usual_head(data)
        if head is None:
            self._ask_parser(data)
            return
        self.status, end, length, self._kept_alive = head
        self.head = data[:end].decode("latin-1")
        if length is not None:
            self._owed = length
            self._take_counted(data[end:])
        else:
            self._plainly_chunked, self._silent = True, end
            self._take_chunks(data[end:])

    def _take_counted(self, data: bytes) -> None:
        """Take the body, or a part of it, whose length was told in a usual head."""
        piece = data[: self._owed]
        if piece:
            self._pieces.append(piece)
            self.unread += len(piece)
            self._owed -= len(piece)
        if not self._owed:
            self.complete = True
            # Blank lines between answers are nothing to the parser.
            self.reusable = self._kept_alive and not data[len(piece) :].strip(b"\r\n")

    def _ask_parser(self, data: bytes) -> None:
        """Take an answer whose head is not a usual one."""
        # Interim answers may come by the thousand: not one call deeper for each.
        while not self.status and (end := self._end_of_head(data)):
            self._parse(data[:end])
            data = data[end:]
            if self.over:
                self.reusable = self.reusable and not data
                return
            # What is behind the head of a stream is chunks, and nearly always plain ones.
            self._plainly_chunked = bool(self.field("transfer-encoding"))
            if self._plainly_chunked and self._parser is not None:
                self._kept_alive = self._parser.should_keep_alive()
        if self._plainly_chunked:
            self._take_chunks(data)
        elif data:
            self._parse(data)

    def _end_of_head(self, data: bytes) -> int:
        """Where the head of an answer that seems to come in chunks ends; 0 if that is not in these bytes."""
        end = data.find(b"\r\n\r\n") + 4
        return end if end > 3 and data.find(b"hunked", 0, end) > 0 else 0

    def _take_chunks(self, data: bytes) -> None:
        """Take chunks, and ask the parser only about those that are not plain, or not whole yet."""
        if self._owed:
            part, data = data[: self._owed], data[self._owed :]
            self._owed -= len(part)
            self._parse(part)
        data = self._half_size + data
        self._half_size = b""
        while data and not self.over:
            contents, data = plain_chunks(data)
            if contents:
                content = b"".join(contents)
                self._pieces.append(content)
                self.unread += len(content)
                self._begun = True
                self._silent = 0
            if not data:
                return
            if data == LAST_CHUNK:
                self._plainly_chunked = False
                self.complete, self.reusable = True, self._kept_alive
                self._let_go()
                return
            length = chunk_length(data)
            if length == 0:
                self._half_size = data
                return
            if length is None:
                self._plainly_chunked = False
                length = len(data)
            part, data = data[:length], data[length:]
            self._owed = length - len(part)
            self._parse(part)

    def _parse(self, data: bytes) -> None:
        unread, parser = self.unread, self._parser or self._new_parser()
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

    def hold_little(self) -> None:
        """Much of the body is still to come, in chunks that are plain: hold no parser for the few that are not."""
        if self.between_chunks:
            self._parser = None

    def _new_parser(self) -> HttpResponseParser:
        """A parser for the answer from its head on, or one that is where the last one was when it was let go."""
        parser = self._parser = HttpResponseParser(self)
        if self.status:
            parser.feed_data(_AS_BEFORE[self._kept_alive])
        else:
            self._lines = []
        return parser

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

    def put_back(self, data: bytes) -> None:
        """Let bytes that were taken wait again, in front of all others."""
        self._pieces.insert(0, data)
        self.unread += len(data)

    def discard(self) -> None:
        """Forget the body's bytes that wait."""
        self._pieces.clear()
        self.unread = 0

    def forget_head(self) -> None:
        """Nobody will ask for the headers again."""
        self.head = ""

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self._let_go()

    def _let_go(self) -> None:
        # The parser holds bound methods of the answer: a cycle that only the collector would undo.
        self._parser = self._lines = None

    # llhttp's calls

    def on_message_begin(self) -> None:
        """A head begins. After the end of the answer it is one that nobody asked for."""
        if self.complete:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which counts for nothing."""
        if self._lines is not None:
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """The blank line after the head."""
        lines, parser = self._lines, self._parser
        if parser is None or lines is None:
            return
        if self.received > MAX_HEAD and sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in lines) > (
            MAX_HEAD
        ):
            raise _NotHttpError("too long a head")
        if len(lines) > MAX_FIELDS:
            raise _NotHttpError("too many headers")
        names = {name.lower() for name, _ in lines}
        status, version = parser.get_status_code(), parser.get_http_version()
        if version not in {"1.1", "1.0"} or status < 100 or status == 101:
            raise _NotHttpError("another protocol")
        if b"transfer-encoding" in names:
            _check_chunked(lines, version, interim=status < 200)
        elif b"content-length" not in names:
            self._until_close = status >= 200 and status not in _BODILESS
        elif status < 200:
            raise _NotHttpError("an interim answer with a body")
        if status >= 200:
            head = b"".join([b"\r\n", *(b"%b: %b\r\n" % line for line in lines)])
            self.status, self.head, self._lines = status, head.decode("latin-1"), None
            self.packed = b"content-encoding" in names
        else:
            self._lines = []

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
