"""What `holdfast watch` does: follow the proxy's event stream, across breaks of the connection and restarts."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, NoReturn

import aiohttp
import click
from aiohttp_sse_client.client import EventSource  # type: ignore[import-untyped]

from proxy.cli.loop import told_to_stop
from proxy.cli.phrases import nobody_listens
from proxy.cli.words import subject, words
from proxy.config.finding import printable

_SILENCE_S = 45.0
"""Three pings of the server."""
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_PATIENCE_S = 10.0
_NAME = 17


class _RefusedError(Exception):
    """The server is there, and does not let us follow; the message says why."""


class _LostError(ConnectionError):
    """The connection ended."""


async def watch_until_told(url: str, key: str | None, types: tuple[str, ...], *, as_json: bool) -> int:
    """Print every event until a signal; the exit code."""
    stop = told_to_stop()
    watching = asyncio.create_task(_watch(url, key, types, as_json=as_json), name="watch")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if watching.done():
        return await watching
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return 0


async def _watch(url: str, key: str | None, types: tuple[str, ...], *, as_json: bool) -> int:
    try:
        async for data in Follower(url, key, types).events():
            click.echo(data if as_json else line(data))
    except _RefusedError as error:
        _say(str(error))
        return 1
    return 0


def line(data: str) -> str:
    """An event for people: time, kind, whom it is about, what happened."""
    event = json.loads(data)
    at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
    head = f"{at}  {printable(event['event']):<{_NAME}}"
    # click strips the style where standard output is no terminal.
    shown = head if os.environ.get("NO_COLOR") else click.style(head, dim=True)
    return f"{shown}  {subject(event)}  {words(event)}"


class Follower:
    """Follows one proxy. Only the first connection has to succeed; later ones are tried until they do."""

    def __init__(self, url: str, key: str | None, types: tuple[str, ...]) -> None:
        self._url = f"{url}/admin/v1"
        self._home = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._query = {"types": ",".join(types)} if types else {}
        self._last: str | None = None
        """The id of the last event that was told; before there was one, the last that had happened when we came."""
        self._process: object = None
        """When the process that we follow was started: ids are its own."""

    async def events(self) -> AsyncIterator[str]:
        """The data of every event. Raises _RefusedError."""
        # What the library has to say of a connection, we say ourselves.
        logging.getLogger("aiohttp_sse_client").addHandler(logging.NullHandler())
        timeout = aiohttp.ClientTimeout(total=None, connect=_PATIENCE_S, sock_read=_SILENCE_S)
        pause, lost = _PAUSE_S, False
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    await self._find_place(session)
                except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                    if self._last is None:
                        raise _RefusedError(self._cannot_connect(error)) from None
                else:
                    if lost:
                        _say("connected again")
                    pause, lost = _PAUSE_S, False
                    async for data in self._one_connection(session):
                        yield data
                if not lost:
                    _say("the connection is lost; trying again until Ctrl-C")
                    lost = True
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, 2 * pause)

    async def _find_place(self, session: aiohttp.ClientSession) -> None:
        """Learn where the stream is: at first to begin with what happens from now on, later to see a restart."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with session.get(f"{self._url}/status", headers=self._headers, timeout=timeout) as response:
            status = _checked(response.status, await response.read(), self._home)
        if self._last is None:
            self._last = str(status["last_event"])
        elif status["started_at"] != self._process:
            _say("the proxy was restarted; this is all it remembers")
            self._last = "0"
        self._process = status["started_at"]

    async def _one_connection(self, session: aiohttp.ClientSession) -> AsyncIterator[str]:
        """The events until the connection ends."""
        source = EventSource(
            f"{self._url}/events",
            session=session,
            params=self._query,
            # The library writes into them.
            headers={**self._headers, "Last-Event-ID": self._last},
            reconnection_time=timedelta(seconds=_PAUSE_S),
            max_connect_retry=0,
            on_error=_lose,
        )
        try:
            await source.connect()
            while True:
                # Only what the connection does is caught: printing may fail with a broken pipe of its own.
                event = await anext(source)
                self._mind_gap(event.last_event_id)
                yield event.data
        except (aiohttp.ClientError, ConnectionError, TimeoutError, StopAsyncIteration):
            return
        finally:
            await source.close()

    def _mind_gap(self, id_: str) -> None:
        if not self._query and self._last is not None and int(id_) > int(self._last) + 1:
            _say(f"{int(id_) - int(self._last) - 1} events were missed: the proxy keeps the last 1000")
        self._last = id_

    def _cannot_connect(self, error: Exception) -> str:
        if isinstance(error, aiohttp.ClientSSLError):
            return f"{self._home} cannot be trusted: {error}"
        if isinstance(error, aiohttp.ClientConnectorError):
            return nobody_listens(self._home, "serve")
        return f"{self._home} broke off: {str(error) or 'no answer in time'}"


def _lose() -> NoReturn:
    # The library would connect again by itself, and glue half an event to the first of the new connection.
    raise _LostError


def _checked(status: int, body: bytes, home: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
        if status == 200:
            return {"last_event": int(document["last_event"]), "started_at": document["started_at"]}
        message = printable(str(document["error"]["message"])).rstrip(".")
    except (ValueError, KeyError, TypeError):
        raise _RefusedError(f"{home} does not answer as Holdfast does; say where it is with --url") from None
    cure = "; here: --key or HOLDFAST_ADMIN_KEY" if status == 401 else ""
    raise _RefusedError(f"{message}{cure}")


def _say(message: str) -> None:
    click.echo(f"holdfast: {message}", err=True)
