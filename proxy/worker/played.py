"""The simulated upstreams, which a process of their own plays for all workers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from proxy.config.settings import Settings
from proxy.workers.link import Link

_PATIENCE_S = 10.0


class PlayedElsewhere:
    """Asks for them to be played, by way of the supervisor."""

    def __init__(self, link: Link) -> None:
        self.control_url: str | None = None
        """Where faults are put in; None while nothing is played."""
        self._link = link
        self._asked: asyncio.Future[tuple[Any, ...]] | None = None

    def hear(self, answer: tuple[Any, ...]) -> None:
        """The player has answered."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(answer)

    async def with_addresses(self, settings: Settings) -> Settings:
        """The settings, with where the upstreams are played. Raises OSError when they cannot be."""
        names = [
            name for name, each in settings.upstreams.items() if each.kind.name == "simulated" and not each.base_url
        ]
        if not names:
            return settings
        self._asked = asyncio.get_running_loop().create_future()
        self._link.tell_supervisor("play", names)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                urls, control_url = await self._asked
        except TimeoutError:
            raise OSError("the simulated upstreams did not start") from None
        if urls is None:
            raise OSError(control_url)
        self.control_url = control_url
        places = {name: replace(settings.upstreams[name], base_url=urls[name]) for name in names}
        return replace(settings, upstreams={**settings.upstreams, **places})
