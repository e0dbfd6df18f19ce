"""What operators can change: breakers, orders, weights, the configuration; and a probe at their word.

Only by POST, all audited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import msgspec
from aiohttp import web

from proxy.control.command import ACTIONS, Command, read_command, unknown_action
from proxy.control.context import Control, as_json, named_in, not_found, now, operator
from proxy.control.guard import check_same_site, is_json
from proxy.core.errors import ClientError, body_timeout
from proxy.core.event import Controlled, Happening
from proxy.core.names import DeploymentId
from proxy.pool.orders import Order, carry_out
from proxy.telemetry.feed import Told

_LARGEST = 64 * 1024


async def change(request: web.Request) -> web.Response:
    """One action on one deployment. What it changed is emitted, and told in the reply."""
    operator(request)
    check_same_site(request.headers)
    action, id_ = request.match_info["action"], named_in(request)
    if action not in ACTIONS:
        raise unknown_action(action)
    control, command = await _asked(request, action)
    _check_target(control, id_, action)
    if action == "probe":
        return as_json(await _probe(control, id_, command))
    order = Order(action, id_, command.reason, now(), command.duration, command.value)
    changed = await _carry_out(control, order)
    return as_json({"deployment": control.document(id_), "changed": _told(control, changed)})


async def reset_all(request: web.Request) -> web.Response:
    """Forget all trouble of all deployments."""
    operator(request)
    check_same_site(request.headers)
    control, command = await _asked(request, "reset")
    changed = await _carry_out(control, Order("reset", None, command.reason, now()))
    documents = [control.document(id_) for id_ in control.known()]
    return as_json({"deployments": documents, "changed": _told(control, changed)})


async def reload(request: web.Request) -> web.Response:
    """Read the configuration again. With errors in it nothing changes, and the reply lists them."""
    operator(request)
    check_same_site(request.headers)
    control, command = await _asked(request, "reload")
    if control.draining():
        raise _conflict("The proxy is shutting down.")
    if control.reload is None:
        raise _conflict("The configuration came from no file that could be read again.")
    read = await control.reload("operator", command.reason)
    if read.ok:
        return as_json(read.document())
    message = f"The configuration is as it was; the new one was refused: {read.message}"
    error = ClientError(422, "invalid_configuration", message, should_retry=False)
    body = {**msgspec.json.decode(error.body()), **read.document()}
    return as_json(body, 422)


async def _asked(request: web.Request, action: str) -> tuple[Control, Command]:
    """What is to be done, and to whom: while the body came, another configuration may have been put in force."""
    command = read_command(action, await read_body(operator(request), request))
    return operator(request), command


async def _carry_out(control: Control, order: Order) -> list[Happening]:
    """Do it here and, where several processes serve, in all of them before the operator is answered."""
    changed = carry_out(control.pool, order, lambda id_: [step.rules for step in control.steps(id_)])
    await control.ordered(order)
    return changed


async def _probe(control: Control, id_: DeploymentId, command: Command) -> dict[str, object]:
    control.emit(Controlled(id_, "probe", command.reason))
    probed = await control.probe(id_)
    if probed is None:
        document = control.document(id_)
        why = document.get("reason") or "its probes are under way, or no route asks it"
        raise _conflict(f"{str(id_)[:200]} may not be asked now: {why}.")
    told = {"outcome": probed.outcome, "duration_s": round(probed.duration, 4), "message": probed.message}
    return {**told, "deployment": control.document(id_)}


def _check_target(control: Control, id_: DeploymentId, action: str) -> None:
    if id_ not in control.known():
        raise not_found(control, id_)
    skipped = control.unusable().get(id_.upstream)
    if skipped is not None:
        raise _conflict(f"{str(id_)[:200]} is skipped: {skipped}. There is nothing to {action}.")
    routes = control.settings.routes.values()
    weighted = [step for route in routes if route.strategy == "weighted" for step in route.steps if step.serves(id_)]
    if action == "weight" and not weighted:
        raise _conflict(f"No weighted route names {str(id_)[:200]}, so a weight would change nothing.")


def _told(control: Control, events: Iterable[Happening]) -> list[msgspec.Raw]:
    """Emit events; the same as JSON."""
    told: list[msgspec.Raw] = []
    for event in events:
        control.emit(event)
        told.append(msgspec.Raw(Told(0, type(event).__name__, time.time(), event).as_json()))
    return told


async def read_body(control: Control, request: web.Request) -> bytes:
    """The body, small and JSON. Raises ClientError (408, 413, 415)."""
    if (request.content_length or 0) > _LARGEST:
        raise _too_large()
    patience = control.settings.server.timeout.body
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > _LARGEST:
                    raise _too_large()
    except TimeoutError:
        raise body_timeout(patience) from None
    if not is_json(request.headers, empty=not body):
        message = "Send JSON, with 'Content-Type: application/json', or no body."
        raise ClientError(415, "unsupported_media_type", message, should_retry=False)
    return bytes(body)


def _too_large() -> ClientError:
    message = f"The body of a command is at most {_LARGEST // 1024} KB."
    return ClientError(413, "request_too_large", message, close=True, should_retry=False)


def _conflict(message: str) -> ClientError:
    return ClientError(409, "conflict", message, should_retry=False)
