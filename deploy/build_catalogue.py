"""Makes `proxy/config/catalogue.json`: windows, prices and capabilities of current models.

    pip install genai-prices
    pip download --no-deps --dest /tmp/litellm litellm
    PYTHONPATH=. python deploy/build_catalogue.py --litellm /tmp/litellm/litellm-*.whl

Two sources, both under the MIT licence: the package `genai-prices` for prices and whole windows, and the price list
within the wheel of `litellm` (which is never installed) for limits of prompts and answers and for capabilities. Where
they differ in a price by more than 5%, both are printed and that of genai-prices is taken. The same inputs make the
same file. What is not said stays unknown: of flags that are missing in a list nothing is concluded, but for the
families that `_LACKS` names.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from genai_prices import data
from genai_prices.types import ModelInfo, Provider, TieredPrices, TimeOfDateConstraint

from proxy.config.catalogue import FILE, Row, entries_of, versionless
from proxy.core.facts import NOTHING, ModelFacts

_PRICE_LIST = "litellm/model_prices_and_context_window_backup.json"
_MOST_BYTES = 150_000
_MODES = {"chat", "responses", "embedding"}
_KINDS = {
    "openai": "openai", "anthropic": "anthropic", "gemini": "gemini", "azure": "azure", "bedrock": "bedrock",
    "bedrock_converse": "bedrock", "deepseek": "deepseek", "xai": "xai", "mistral": "mistral", "groq": "groq",
}  # fmt: skip
"""litellm's providers, and the kinds that they are here."""
_PROVIDERS = {"gemini": "google", "bedrock": "aws", "xai": "x-ai"}
"""The kinds that genai-prices calls otherwise."""
_MAKERS = re.compile(
    r"(openai|anthropic|google|deepseek|x-ai|mistralai|meta-llama|qwen|moonshotai|z-ai|minimax)/[^:]+$"
)
"""Of the hundreds of models of OpenRouter, those of makers that are asked for."""
_LEFT_OUT = re.compile(
    r"image|realtime|live|tts|transcribe|whisper|moderation|dall-e|lyria|robotics|veo|imagen|nano-banana|container|"
    r"prompt-guard|computer-use|deep-research|davinci|babbage|curie|commitment|guardrail|sonic|rerank|cyber|"
    r"rosalind|translate|(^|/)(\d|ada$)|/.*/|^us-|^eu/|^us/|^global|\.ft-"
)
"""Not for chat or embeddings, or a way of paying rather than a model."""
_FLAGS = {
    "vision": "supports_vision",
    "audio": "supports_audio_input",
    "documents": "supports_pdf_input",
    "tools": "supports_function_calling",
    "structured": "supports_response_schema",
    "reasoning": "supports_reasoning",
}
_LACKS = {
    "openai": ((r"gpt-3\.5|gpt-4(-\d{4}.*)?$|o1-mini|o3-mini|gpt-oss|gpt-audio|gpt-4o(-mini)?-audio", "vision"),),
    "deepseek": ((r"(?!.*(flash|vision))", "vision"), (r"", "structured")),
    "mistral": ((r"codestral|devstral|open-mistral|mistral-tiny|ministral-[38]b-24|mistral-code", "vision"),),
    "groq": ((r"openai/gpt-oss|llama-3|qwen|moonshotai|allam|gemma", "vision"),),
    "bedrock": ((r"(.*\.)?(deepseek|openai\.gpt-oss|mistral\.mi[sx]tral-(7b|8x7b)|meta\.llama3-[01])", "vision"),),
}
"""What families of models are known to lack, from their makers' pages, as patterns of the beginning of a name."""
_PRICES = ("input", "output", "cache_read", "cache_write")
_LITELLM_PRICES = (
    "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
)  # fmt: skip
_TIER = re.compile(r"input_cost_per_token_above_(\d+)k_tokens$")


def main() -> int:
    """Write the catalogue, and say where the sources differ. Returns 1 if it has grown too large."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--litellm", type=Path, required=True, help="its wheel, or the price list out of it")
    parser.add_argument("--on", type=date.fromisoformat, default=None, help="the day whose models are current; today")
    parser.add_argument("--out", type=Path, default=FILE)
    chosen = parser.parse_args()
    day = chosen.on or datetime.now(UTC).date()
    second, second_version = _price_list(chosen.litellm)
    builder = _Builder(second, day)
    rows = builder.rows()
    made = {"genai-prices": version("genai-prices"), "litellm": second_version, "on": day.isoformat()}
    text = _text(made, rows)
    chosen.out.write_text(text)
    for line in sorted(builder.notes):
        print(line, file=sys.stderr)
    print(f"{len(rows)} models, {len(text)} bytes, {len(builder.notes)} notes")
    return int(len(text) > _MOST_BYTES)


def _price_list(path: Path) -> tuple[dict[str, Any], str]:
    if path.suffix != ".whl":
        return json.loads(path.read_bytes()), "unknown"
    with zipfile.ZipFile(path) as wheel:
        return json.loads(wheel.read(_PRICE_LIST)), path.name.split("-")[1]


def _text(made: Mapping[str, str], rows: Mapping[str, Row]) -> str:
    lines = [f"{json.dumps(key)}:{msgspec.json.encode(rows[key]).decode()}" for key in sorted(rows)]
    return f'{{"made":{json.dumps(made, sort_keys=True)},"models":{{\n' + ",\n".join(lines) + "\n}}\n"


class _Builder:
    """Joins the two sources."""

    def __init__(self, second: Mapping[str, Any], day: date) -> None:
        self._second = second
        self._noon = datetime.combine(day, time(12), UTC)
        self._day = day.isoformat()
        self._providers: dict[str, Provider] = {provider.id: provider for provider in data.providers}
        self.notes: set[str] = set()

    def rows(self) -> dict[str, Row]:
        """What each name adds to what it falls back to: the general names first, so that the others can be compared."""
        whole = {key: self._row(*key.split("/", 1), entry) for key, entry in self._named()}
        rows: dict[str, Row] = {}
        for key in sorted(whole, key=lambda key: (len(list(entries_of(*key.split("/", 1)))), key)):
            row = _without(whole[key], _fallback(rows, key))
            if row != Row():
                rows[key] = row
        return rows

    def _named(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        found: dict[str, Mapping[str, Any]] = {}
        former: dict[str, Mapping[str, Any]] = {}
        for name, entry in self._second.items():
            kind = _KINDS.get(entry.get("litellm_provider", ""))
            if kind is None or entry.get("mode") not in _MODES:
                continue
            bare = name.lower().removeprefix(f"{kind}/")
            if not _LEFT_OUT.search(bare) and not (kind == "bedrock" and "." not in bare):
                current = entry.get("deprecation_date", "9999") > self._day
                (found if current else former)[f"{kind}/{bare}"] = entry
                if current and kind == "bedrock" and "anthropic." in bare:
                    # Versions of one Claude do not differ; of others, such as Titan, they are different models.
                    found.setdefault(f"{kind}/{versionless(bare)}", entry)
        for key in self._first_names():
            found.setdefault(key, former.get(key, {}))
        for key, entry in found.items():
            # Bedrock's prices within one region, for one, stand under names that nobody calls a model by.
            if (key, True) in entries_of(*key.split("/", 1)):
                yield key, entry

    def _first_names(self) -> Iterator[str]:
        """The models of genai-prices whose names there are those by which they are called."""
        for kind in (*dict.fromkeys(_KINDS.values()), "openrouter"):
            if kind in {"bedrock", "azure"}:
                continue
            for model in self._providers[_PROVIDERS.get(kind, kind)].models:
                name = model.id.lower()
                if kind == "openrouter" and not _MAKERS.match(name):
                    continue
                if not _LEFT_OUT.search(name) and not (kind == "gemini" and "claude" in name):
                    yield f"{kind}/{name.removesuffix('-') if name.startswith('ft:') else name}"

    def _row(self, kind: str, name: str, entry: Mapping[str, Any]) -> Row:
        provider = self._providers[_PROVIDERS.get(kind, kind)]
        model = provider.find_model(name, all_providers=data.providers)
        context = model.context_window if model is not None else None
        limit, most = entry.get("max_input_tokens"), entry.get("max_output_tokens")
        if context is not None and limit is not None and limit > context:
            # A window that is taken for too small shuts requests out, so the larger number holds.
            self.notes.add(f"{kind}/{name}: window {context} or {limit}")
            context = limit
        can, lacks = _abilities(kind, name, entry)
        price, tiers = self._prices(f"{kind}/{name}", entry, model)
        return Row(
            context,
            limit if limit and limit != context else None,
            most or None,
            price,
            tiers if price else (),
            can,
            lacks,
            entry.get("output_vector_size"),
        )

    def _prices(
        self, key: str, entry: Mapping[str, Any], model: ModelInfo | None
    ) -> tuple[tuple[float | None, ...], tuple[tuple[float | None, ...], ...]]:
        theirs = tuple(_millions(entry.get(name)) for name in _LITELLM_PRICES)
        if model is None:
            return _cut(theirs), _litellm_tiers(entry)
        ours, tiers = self._genai(key, model)
        for name, first, second in zip(_PRICES, ours, theirs, strict=True):
            if first and second and abs(first - second) > 0.05 * max(first, second):
                self.notes.add(f"{key}: {name} {first:g} here, {second:g} there")
        if ours[0] is None and ours[1] is None:
            return _cut(theirs), _litellm_tiers(entry)
        return _cut(ours), tiers

    def _genai(
        self, key: str, model: ModelInfo
    ) -> tuple[tuple[float | None, ...], tuple[tuple[float | None, ...], ...]]:
        prices = model.prices
        if isinstance(prices, list):
            if any(isinstance(each.constraint, TimeOfDateConstraint) for each in prices):
                self.notes.add(f"{key}: the price depends on the time of day; the base price is taken")
            holds = [
                each.prices
                for each in prices
                if not isinstance(each.constraint, TimeOfDateConstraint)
                and (each.constraint is None or each.constraint.active(self._noon))
            ]
            prices = holds[-1] if holds else prices[0].prices
        told = [getattr(prices, f"{name}_mtok", None) for name in _PRICES]
        starts = sorted({tier.start for each in told if isinstance(each, TieredPrices) for tier in each.tiers})
        tiers = tuple(_cut((start, *(_at(each, start) for each in told))) for start in starts)
        return tuple(_number(each.base if isinstance(each, TieredPrices) else each) for each in told), tiers


def _abilities(kind: str, name: str, entry: Mapping[str, Any]) -> tuple[str, str]:
    if entry.get("mode") == "embedding":
        return "", ""
    told: dict[str, bool] = {
        ability: bool(entry[flag]) for ability, flag in _FLAGS.items() if entry.get(flag) is not None
    }
    takes = entry.get("supported_modalities")
    if takes and kind != "bedrock":
        told.setdefault("vision", "image" in takes)
        told.setdefault("audio", "audio" in takes)
    for pattern, ability in _LACKS.get(kind, ()):
        if re.match(pattern, name):
            told[ability] = False
    if told.get("structured"):
        told["json_mode"] = True
    # Whether a model goes on with an answer is known of kinds and families elsewhere; of Claude's it is listed well.
    if "claude" in name and entry.get("supports_assistant_prefill") is not None:
        told["prefill"] = bool(entry["supports_assistant_prefill"])
    return " ".join(sorted(each for each in told if told[each])), " ".join(
        sorted(each for each in told if not told[each])
    )


def _fallback(rows: Mapping[str, Row], key: str) -> ModelFacts:
    found = NOTHING
    for other, whole in entries_of(*key.split("/", 1)):
        if other != key and (row := rows.get(other)) is not None:
            facts = row.facts()
            found = found.over(facts if whole else msgspec.structs.replace(facts, price=None))
    return found


def _without(row: Row, known: ModelFacts) -> Row:
    """What of a row its fallback does not say already."""
    facts = row.facts()
    same = {name for name in ("context", "max_input", "max_output", "dimensions", "price")
            if getattr(facts, name) == getattr(known, name)}  # fmt: skip
    if "price" in same:
        same.add("tiers")
    bare = {
        field.name: field.default if field.name in same else getattr(row, field.name)
        for field in msgspec.structs.fields(Row)
    }
    for name, truth in (("can", True), ("lacks", False)):
        bare[name] = " ".join(each for each in bare[name].split() if getattr(known, each) is not truth)
    return Row(**bare)


def _litellm_tiers(entry: Mapping[str, Any]) -> tuple[tuple[float | None, ...], ...]:
    starts = sorted(int(found[1]) for name in entry if (found := _TIER.match(name)))
    return tuple(
        _cut((start * 1000, *(_millions(entry.get(f"{name}_above_{start}k_tokens")) for name in _LITELLM_PRICES)))
        for start in starts
    )


def _at(price: Any, start: int) -> float | None:
    """The price above a prompt of so many tokens; None where it is that of any prompt."""
    if not isinstance(price, TieredPrices):
        return None
    return _number(next((tier.price for tier in reversed(price.tiers) if tier.start <= start), price.base))


def _number(price: Decimal | None) -> float | None:
    return None if price is None else _round(float(price))


def _millions(price: float | None) -> float | None:
    return None if price is None else _round(price * 1e6)


def _round(price: float) -> float:
    rounded = round(price, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def _cut(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
    while values and values[-1] is None:
        values = values[:-1]
    return values


if __name__ == "__main__":
    sys.exit(main())
