"""Errors in the shapes of their providers, for the tables of the tests beside this file."""

from __future__ import annotations

import json

from proxy.core.failure import Failure, FailureClass
from proxy.dialects.failures import classify

C = FailureClass
NOW = 1_763_640_000.0  # 2025-11-20 12:00:00 UTC


def fail(kind: str, status: int, body: object = b"", **headers: str) -> Failure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return classify(kind, status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, NOW)


def openai(message: str, kind: str | None = None, code: object = None, param: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def anthropic(kind: str, message: str, error_code: str | None = None) -> dict[str, object]:
    details = {"error_code": error_code} if error_code else None
    return {"type": "error", "error": {"type": kind, "message": message, "details": details}, "request_id": "req_1"}


def gemini(code: int, status: str, message: str, *details: object) -> list[object]:
    return [{"error": {"code": code, "message": message, "status": status, "details": list(details)}}]


def quota_failure(*ids: str) -> dict[str, object]:
    violations = [{"quotaMetric": "generativelanguage.googleapis.com/x", "quotaId": quota} for quota in ids]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def mistral(message: object, kind: str, code: str) -> dict[str, object]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


def openrouter(code: int, message: str, **metadata: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "metadata": metadata}}


def xai(code: str, error: str) -> dict[str, object]:
    return {"code": code, "error": error}


def forbidden(*loc: object) -> dict[str, object]:
    return {
        "detail": [{"type": "extra_forbidden", "loc": list(loc), "msg": "Extra inputs are not permitted", "input": 1}]
    }


CURRENT_QUOTA = "You exceeded your current quota, please check your plan and billing details."
TPM = "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 8000, please reduce it."
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"


def llamacpp(status: int, kind: str, message: str) -> dict[str, object]:
    return {"error": {"code": status, "message": message, "type": kind}}
