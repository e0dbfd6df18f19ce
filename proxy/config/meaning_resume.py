"""Finishing broken streams elsewhere: can it happen, and is everything used that is said about it?"""

from __future__ import annotations

from proxy.config.document import Path
from proxy.config.meaning_view import has_second
from proxy.config.nearest import effective_resume
from proxy.config.notes import Notes
from proxy.config.schema import Config, Route
from proxy.config.schema_policies import Resume, ResumeOff
from proxy.streams.resume import ResumeMode, ResumeSettings


def check(config: Config, notes: Notes) -> None:
    """Note modes that stand twice, instructions that say too little or are never used, and what never happens."""
    defaults = config.defaults
    _check_values(("defaults", "resume"), defaults.resume, notes)
    effective = {name: effective_resume([defaults, route]) for name, route in config.routes.items()}
    for name, route in config.routes.items():
        path: Path = ("routes", name, "resume")
        _check_values(path, route.resume, notes)
        _check_second(path, route, notes)
        if _instructs(route.resume) and not _asks(effective[name]):
            _note_unused(path, notes)
    # A route may well add `instruct` to its own modes, and leave the instruction to the defaults.
    asked = any(_asks(effective[name]) and not _instructs(route.resume) for name, route in config.routes.items())
    if _instructs(defaults.resume) and not _asks(effective_resume([defaults])) and not asked:
        _note_unused(("defaults", "resume"), notes)


def _check_values(path: Path, resume: Resume | None, notes: Notes) -> None:
    if resume is None:
        return
    modes = resume.modes or []
    for index, mode in enumerate(modes):
        if mode in modes[:index]:
            notes.error((*path, "modes", index), f"{mode} stands here twice; the order is that of preference")
    if resume.instruction is not None and "{tail}" not in resume.instruction:
        message = "without `{tail}`, the last characters of what was said, the model is not told where to go on"
        notes.warning((*path, "instruction"), message)


def _check_second(path: Path, route: Route, notes: Notes) -> None:
    if route.resume is not None and not isinstance(route.resume, ResumeOff) and not has_second(route):
        why = "the chain leads to one deployment, and a broken stream is finished on another"
        notes.warning(path, f"never happens: {why}", key=True)


def _instructs(resume: Resume | None) -> bool:
    return resume is not None and resume.instruction is not None


def _asks(settings: ResumeSettings | None) -> bool:
    return settings is not None and ResumeMode.INSTRUCT in settings.modes


def _note_unused(path: Path, notes: Notes) -> None:
    notes.warning((*path, "instruction"), "never used: `modes` lacks instruct", key=True)
