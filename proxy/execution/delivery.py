"""A stream on its way to its client, over as many deployments as it takes to bring it whole.

Until the stream's head is out, the executor may send the request anywhere; from then on the client holds a part of an
answer, and only its continuation is of any use. So when the stream breaks, what was said is looked up, the chain is
asked for the next deployment as always (`next_move`: one deadline, one history, the same budgets), and that one is
asked to go on, in a mode that it can and that the answer allows. What it says goes through the seam before the client
sees any of it. If it breaks, too, the same begins anew with all that the client has by then.

While a stream pours, its delivery is an object at rest: no coroutine is held for it (`relay.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from proxy.core.event import Resume, ResumeEnded, StreamInterrupted
from proxy.core.failure import DEADLINE_EXCEEDED, Failure, FailureClass, NextDeployment
from proxy.core.names import DeploymentId
from proxy.core.wire import Wire
from proxy.dialects.dialect import NotCarriedError
from proxy.dialects.languages import chat_fields
from proxy.dialects.openai.continuing import own_beginning, wanted
from proxy.dialects.openai.graft import Resumption
from proxy.dialects.openai.said import condense
from proxy.execution.outlet import Outlet
from proxy.execution.relay import POURS, Attendant, Pours
from proxy.execution.run import NO_HEADERS, StreamAnswer
from proxy.execution.translating import Encoding, Overheard
from proxy.execution.walk import Walk
from proxy.pool.permit import IGNORED, SUCCEEDED, Outcome, Permit
from proxy.pool.standing import Hold, Standing
from proxy.routing.next_move import Attempt, Queue, next_move
from proxy.routing.plan import Plan
from proxy.streams.resume import Obstacle, ResumeMode, continuation, modes_for, next_mode, refused
from proxy.streams.seam import Echo
from proxy.streams.transcript import Said, Transcript


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why an answer stays a part: who broke off and how, and what stood in the way of going on."""

    deployment: DeploymentId
    failure: Failure
    obstacle: Obstacle

    @property
    def retryable(self) -> bool:
        """Whether the whole request may succeed if it is sent again."""
        return self.failure.verdict.next is not NextDeployment.NO


@dataclass(frozen=True, slots=True)
class _Break:
    """A stream that broke: where, how and when, what was said by then, and how it may be gone on with."""

    deployment: DeploymentId
    failure: Failure
    at: float
    said: Said
    text: str
    modes: tuple[ResumeMode, ...]


class Delivery:
    """Brings one stream to its client."""

    __slots__ = (
        "_answer", "_begun", "_cause", "_encoding", "_overheard", "_settings", "_transcript", "_walk", "outlet",
    )  # fmt: skip

    def __init__(
        self,
        walk: Walk,
        outlet: Outlet,
        answer: StreamAnswer,
        transcript: Transcript | None = None,
        *,
        begun: bool = False,
    ) -> None:
        """`walk` is the request's, with the stream's step as its current one. If it has `begun`, its relay is connected
        already, with this transcript, where one is kept."""
        request = walk.run.request
        self._walk = walk
        self.outlet = outlet
        """Where what the client gets goes."""
        self._answer = answer
        self._begun = begun
        """Of what is under way, the first events have gone out."""
        self._settings = walk.run.plan.resume
        self._overheard = None if request.wire is Wire.CHAT else Overheard(request)
        self._transcript = transcript
        if not begun and self._settings is not None:
            read = condense if self._overheard is None else self._overheard.condense
            self._transcript = Transcript(read, walk.world.transcripts)
        self._encoding: Encoding | None = None
        self._cause: tuple[DeploymentId, Failure] | None = None
        """Who broke off first, and how."""

    async def bring(self, attendant: Attendant | None = None) -> Interruption | Pours | None:
        """Forward a stream to the end of its answer; None if the client has all of it.

        With an attendant this returns `POURS` while the stream goes on by itself: then the attendant is called when
        this is to be called again.
        """
        over = True
        try:
            while True:
                failure = await self._forward(attendant)
                if failure is POURS:
                    over = False
                    return POURS
                if failure is None:
                    return None
                deployment = self._answer.permit.deployment.id
                # What stands in an error is the first cause: later ones came of the attempts to mend it.
                self._cause = self._cause or (deployment, failure)
                since = self._walk.world.clock()
                following = await self._go_on(self._answer, failure)
                if isinstance(following, Obstacle):
                    if following is not Obstacle.OFF:
                        self._tell(deployment, None, failure, "none", "given_up", since)
                    return Interruption(*self._cause, following)
                self._answer, self._begun = following, False
        finally:
            if over and self._transcript is not None:
                self._transcript.close()

    async def _forward(self, attendant: Attendant | None) -> Failure | Pours | None:
        """Send what the client has to see of one stream, up to its end or break."""
        world, run, answer = self._walk.world, self._walk.run, self._answer
        outcome: Outcome | Pours = IGNORED
        try:
            if not self._begun:
                await self._begin(answer)
            told = await answer.relay.run(attendant)
            outcome = SUCCEEDED if told is None else told
        finally:
            if outcome is not POURS:
                world.attempts.finish(answer, outcome, run.ended)
                run.usage = answer.relay.usage
        if isinstance(told, Failure):
            world.emit(StreamInterrupted(answer.permit.deployment.id, told.code))
        return told

    async def _begin(self, answer: StreamAnswer) -> None:
        """Send what a stream has in hand."""
        self._begun = True
        outlet = self._outlet_for(answer)
        # What else came with the stream has been told; it would live as long as the stream.
        first, answer.first, answer.headers = answer.first, b"", NO_HEADERS
        if self._transcript is not None:
            self._transcript.add(first)
        await outlet.write(first)
        answer.relay.connect(outlet, self._transcript)

    def _outlet_for(self, answer: StreamAnswer) -> Outlet:
        """Where the events of a stream go: as they come, or through an encoder."""
        request = self._walk.run.request
        if self._overheard is None:
            return self.outlet
        self._overheard.begins(answer.wire)
        if answer.wire is request.wire:
            return self.outlet
        if self._encoding is None:
            encoder = self._walk.run.encoder = self._overheard.encoder
            self._encoding = Encoding(self.outlet, encoder)
        return self._encoding

    async def _go_on(self, answer: StreamAnswer, failure: Failure) -> StreamAnswer | Obstacle:
        """The stream that goes on with a broken one, with its first new text in hand, or what stands in the way."""
        run, world = self._walk.run, self._walk.world
        now = world.clock()
        assert run.current is not None  # noqa: S101 - a stream has a step
        run.history.record(run.plan, run.plan.steps.index(run.current), failure, now, world.roll())
        said = None if self._transcript is None else self._transcript.said()
        try:
            wishes = wanted(chat_fields(run.request))
        except NotCarriedError:
            # What cannot be asked as a chat completion cannot be gone on with as one.
            return Obstacle.LANGUAGE
        modes = modes_for(said, wishes, self._settings, holding=answer.relay.holding)
        if isinstance(modes, Obstacle):
            return modes
        assert said is not None  # noqa: S101 - else there is an obstacle
        plan = _impatient(run.plan)
        broken = _Break(answer.permit.deployment.id, failure, now, said, said.text, modes)
        while True:
            now = world.clock()
            standings = self._standings(broken, now)
            move = next_move(plan, run.history, standings, self._walk, now)
            if not isinstance(move, Attempt | Queue):
                return self._obstacle(now)
            admitted = await (self._walk.admitted(move) if isinstance(move, Attempt) else self._walk.place(move))
            following = None if admitted is None else await self._try(broken, *admitted, last=move.last)
            if following is not None:
                return following

    async def _try(self, broken: _Break, step: int, permit: Permit, *, last: bool) -> StreamAnswer | None:
        """Ask one deployment to go on; None when that brought nothing."""
        run = self._walk.run
        target = permit.deployment.id
        mode = self._mode(broken, step)
        if mode is None:
            # While this one waited for its place, another request learned that it cannot.
            self._walk.world.attempts.report(permit, IGNORED)
            return None
        self._walk.go_to(step)
        resume = Resume(broken.deployment, target, broken.failure.code, mode.value)
        try:
            resumption = self._resumption(broken, mode, target, resume)
        except BaseException:
            # From here on the attempt gives the permit back.
            self._walk.world.attempts.report(permit, IGNORED)
            raise
        result = await self._walk.make(step, permit, last=last, resumption=resumption)
        if isinstance(result, Failure):
            failure = refused(result, mode)
            outcome = "refused" if failure.kind is FailureClass.PARAMETER_UNSUPPORTED else "failed"
            self._walk.judge(step, failure)
            self._tell(broken.deployment, target, broken.failure, mode.value, outcome, broken.at)
            return None
        following = self._walk.judge(step, result)
        assert isinstance(following, StreamAnswer)  # noqa: S101 - a stream was asked for
        run.resumes += (resume,)
        self._tell(broken.deployment, target, broken.failure, mode.value, "continued", broken.at)
        taken = (self._walk.world.clock() - broken.at) * 1000
        return msgspec.structs.replace(following, first=_comment(resume, taken) + following.first)

    def _standings(self, broken: _Break, now: float) -> list[Standing]:
        """Where each step stands; those that cannot go on with this answer are off."""
        standings = self._walk.standings(now)
        return [
            standing if self._mode(broken, step) is not None else standing._replace(hold=Hold.OFF, rest=None)
            for step, standing in enumerate(standings)
        ]

    def _mode(self, broken: _Break, step: int) -> ResumeMode | None:
        """In which mode a step can be asked to go on; None when in none."""
        run, world = self._walk.run, self._walk.world
        deployment = run.plan.steps[step].deployment
        known = world.pool.find(deployment)
        names = run.history.refused_fields(run.plan, step) | (known.refused_parameters if known else set())
        return next_mode(broken.modes, names, prefill=world.attempts.prefill(deployment) is not None)

    def _resumption(self, broken: _Break, mode: ResumeMode, target: DeploymentId, resume: Resume) -> Resumption:
        settings = self._settings
        assert settings is not None  # noqa: S101 - else there is an obstacle
        prefill = self._walk.world.attempts.prefill(target)
        resumes = (*self._walk.run.resumes, resume)
        return Resumption(
            continuation(mode, broken.said, broken.text, settings),
            broken.text,
            own_beginning(chat_fields(self._walk.run.request)),
            broken.said.identity,
            prefill.echo if prefill is not None and mode is ResumeMode.PREFILL else Echo.UNKNOWN,
            settings.reasoning_again,
            tuple(_told(each) for each in resumes),
        )

    def _obstacle(self, now: float) -> Obstacle:
        last = self._walk.run.history.tried[-1].failure
        if now >= self._walk.run.plan.deadline or last.code == DEADLINE_EXCEEDED:
            return Obstacle.DEADLINE
        return Obstacle.FINAL if last.verdict.next is NextDeployment.NO else Obstacle.NOBODY

    def _tell(
        self, source: DeploymentId, target: DeploymentId | None, failure: Failure, mode: str, outcome: str, since: float
    ) -> None:
        world = self._walk.world
        duration = world.clock() - since
        world.emit(ResumeEnded(self._walk.run.plan.route, source, target, failure.code, mode, outcome, duration))


def _impatient(plan: Plan) -> Plan:
    """The plan for going on. After a part of an answer there is no last resort; and a client that is reading waits for
    nobody while another one is ready."""
    steps = (replace(step, retry=replace(step.retry, patience=0.0)) for step in plan.steps)
    # Nor is there panic: those who merely cannot go on look as if they were out.
    return msgspec.structs.replace(plan, steps=tuple(steps), last_resort=None, panic=None)


def _told(resume: Resume) -> dict[str, str]:
    return {"from": str(resume.source), "to": str(resume.target), "cause": resume.cause, "mode": resume.mode}


def _comment(resume: Resume, ms: float) -> bytes:
    """What those learn who look at the stream itself; clients pass over comments."""
    parts = "; ".join(f"{name}={value}" for name, value in _told(resume).items())
    return f": holdfast-resumed {parts}; ms={ms:.0f}\n\n".encode()
