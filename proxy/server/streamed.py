"""A stream on its way to its client, from its first content to its end."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from proxy.execution.delivery import Delivery
from proxy.execution.relay import POURS, Attendant
from proxy.execution.run import Run, StreamAnswer
from proxy.server.account import Account
from proxy.server.answer import broken, stream_headers, told_of
from proxy.server.door import Sender


def begin(account: Account, run: Run, answer: StreamAnswer) -> Streamed:
    """Answer with a stream. The head is made here, and goes out with the first content."""
    door, context = account.door, account.context
    headers = stream_headers(door, context, run, answer, account.record)
    sender = door.begin(headers, deadline=run.plan.deadline)
    return Streamed(account, run, sender, context.executor.delivery(run, answer, sender))


class OnItsWay(NamedTuple):
    """A stream whose beginning its client has already."""

    sender: Sender
    delivery: Delivery


class Streamed:
    """One stream that a request is answered with."""

    __slots__ = ("_account", "_delivery", "_run", "_sender")

    def __init__(self, account: Account, run: Run, sender: Sender, delivery: Delivery) -> None:
        account.record.status = 200
        self._account = account
        self._run = run
        self._sender = sender
        self._delivery = delivery

    async def bring(self, attendant: Attendant | None) -> bool:
        """Forward it to its end. A failure after the head ends it with an error event.

        With an attendant this returns False while the stream goes on by itself, and is to be called again when the
        attendant is.
        """
        account, run, sender = self._account, self._run, self._sender
        record, lifecycle = account.record, account.context.lifecycle
        try:
            brought = await self._delivery.bring(attendant)
            if brought is POURS:
                return False
            if brought is None:
                account.context.executor.delivered(run, self._delivery)
            else:
                record.outcome = "stream_interrupted"
                await sender.write(told_of(brought, run))
            await sender.end()
        except asyncio.CancelledError:
            if sender.ended or not sender.begun or not lifecycle.ends(account.door.work):
                raise
            record.outcome = "stream_interrupted"
            await sender.write(broken(run, "The proxy is shutting down.", "shutting_down", reason="shutting_down"))
            await sender.end()
        except ConnectionError:
            # Gone between two writes, or too slow to read: nobody is left to be told.
            record.status, record.outcome = 499, "client_left"
        finally:
            record.usage, record.resumes = run.usage, run.resumes
        return True
