"""Holdfast: an OpenAI-compatible reverse proxy that keeps answering."""

__version__ = "0.1.0"
