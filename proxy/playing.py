"""The simulated upstreams that a proxy plays itself: those that live nowhere else."""

from __future__ import annotations

from dataclasses import replace

from proxy.config.settings import Settings
from proxy.simulator.server import Simulator


class Playing:
    """Starts what settings name, and stops what they name no more."""

    def __init__(self) -> None:
        self.simulator: Simulator | None = None
        """Set when something is played for the first time."""

    async def with_addresses(self, settings: Settings) -> Settings:
        """Play the upstreams that are simulated and live nowhere else, and tell the settings where.

        Raises OSError where one cannot be started; then none of the new ones is.
        """
        names = [
            name for name, upstream in settings.upstreams.items() if _is_played(upstream.kind.name, upstream.base_url)
        ]
        if not names:
            return settings
        if self.simulator is None:
            simulator = Simulator(names)
            await simulator.start()
            self.simulator = simulator
        missing = [name for name in names if name not in self.simulator.upstreams]
        for number, name in enumerate(missing):
            try:
                await self.simulator.add(name)
            except OSError:
                for added in missing[:number]:
                    await self.simulator.remove(added)
                raise
        places = {name: replace(settings.upstreams[name], base_url=self.simulator.base_url(name)) for name in names}
        return replace(settings, upstreams={**settings.upstreams, **places})

    def played(self, settings: Settings) -> set[str]:
        """The upstreams of some settings that are played here."""
        if self.simulator is None:
            return set()
        played = self.simulator.upstreams
        return {
            name
            for name, upstream in settings.upstreams.items()
            if name in played and upstream.base_url == played[name].base_url
        }

    async def stop(self, names: set[str]) -> None:
        """Play these no more."""
        for name in names:
            if self.simulator is not None and name in self.simulator.upstreams:
                await self.simulator.remove(name)

    async def close(self) -> None:
        """Play nothing more."""
        if self.simulator is not None:
            await self.simulator.close()


def _is_played(kind: str, base_url: str) -> bool:
    return kind == "simulated" and not base_url
