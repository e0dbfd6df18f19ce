"""The simulator: upstreams that speak every provider's language on ports of their own, and fail on command.

    simulator = Simulator(["primary", "backup"])
    await simulator.start()
    await simulator.inject("primary", "cut:after=9")
    ...  # talk to simulator.base_url("primary")
    await simulator.close()

It shares no code with the proxy that it tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from aiohttp import web

from proxy.simulator.answers import Voice
from proxy.simulator.control import control_app
from proxy.simulator.faults import Fault, nearest
from proxy.simulator.listener import Listener
from proxy.simulator.upstream import SimulatedUpstream

_SHUTDOWN_PATIENCE = 0.2


class Simulator:
    """Several simulated upstreams and one control port.

    `tokens_per_second` (0: no pauses) and `first_token_delay` (seconds) set the pace of all voices at first; `seed`
    fixes what they say and the luck of their faults; `keep` bounds the requests that each upstream remembers.
    """

    def __init__(
        self,
        upstreams: Sequence[str] = ("primary",),
        *,
        host: str = "127.0.0.1",
        seed: int = 0,
        tokens_per_second: float = 50.0,
        first_token_delay: float = 0.05,
        keep: int = 1000,
    ) -> None:
        if not upstreams or len(set(upstreams)) != len(upstreams):
            raise ValueError(f"upstreams need distinct names, at least one; got {list(upstreams)!r}")
        if tokens_per_second < 0 or first_token_delay < 0:
            raise ValueError("tokens_per_second and first_token_delay cannot be negative")
        self.host = host
        self._pace = 1 / tokens_per_second if tokens_per_second else 0.0
        self._first_token_delay = first_token_delay
        self._seed = seed
        self._keep = keep
        self._upstreams = {name: self._new(name) for name in upstreams}
        self._control = Listener(host)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def upstreams(self) -> Mapping[str, SimulatedUpstream]:
        """All upstreams by name."""
        return dict(self._upstreams)

    @property
    def control_url(self) -> str:
        """The address of the control API, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self._control.port}"

    def upstream(self, name: str) -> SimulatedUpstream:
        """One upstream; KeyError names the nearest one."""
        if name not in self._upstreams:
            raise KeyError(f"no upstream {name!r}{nearest(name, self._upstreams)}")
        return self._upstreams[name]

    def base_url(self, upstream: str) -> str:
        """The address of an upstream, with /v1 at its end."""
        return self.upstream(upstream).base_url

    async def inject(self, upstream: str, fault: str | Fault | Mapping[str, object] | None) -> None:
        """Inject a fault into an upstream; None heals it. It counts from the next request on."""
        await self.upstream(upstream).inject(fault)

    async def start(self, ports: Mapping[str, int] | None = None, control_port: int | None = None) -> None:
        """Listen on these ports, by upstream name; 0 or none is that of the last start, at first any free one."""
        wanted = dict(ports or {})
        for name in wanted:
            self.upstream(name)
        if self._runner is not None:
            raise RuntimeError("the simulator is running already")
        try:
            for name, upstream in self._upstreams.items():
                await upstream.start(wanted.get(name, 0))
            await self._start_control(control_port or 0)
        except OSError:
            await self.close()
            raise

    async def add(self, name: str) -> None:
        """Play one more upstream, on a free port, while the others go on. Raises OSError when there is none."""
        if name in self._upstreams:
            raise ValueError(f"there is an upstream {name!r} already")
        upstream = self._new(name)
        await upstream.start(0)
        self._upstreams[name] = upstream

    async def remove(self, name: str) -> None:
        """Play an upstream no longer."""
        upstream = self.upstream(name)
        del self._upstreams[name]
        await upstream.close()

    async def close(self) -> None:
        """Stop everything at once, also answers that would never end."""
        self._control.release()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        for upstream in self._upstreams.values():
            await upstream.close()

    def _new(self, name: str) -> SimulatedUpstream:
        voice = Voice(name, seed=self._seed, pace=self._pace, first_token_delay=self._first_token_delay)
        return SimulatedUpstream(voice, host=self.host, keep=self._keep)

    async def _start_control(self, port: int) -> None:
        self._runner = web.AppRunner(control_app(self._upstreams), access_log=None, shutdown_timeout=_SHUTDOWN_PATIENCE)
        await self._runner.setup()
        await self._control.reserve(port or self._control.port)
        if self._runner.server is not None:
            await self._control.open(self._runner.server)
