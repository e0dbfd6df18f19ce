"""Short ways to load a text and to look at what was found."""

from collections.abc import Mapping

from proxy.config.load import Loaded, load

MINIMAL = """\
version: 1
upstreams:
  local: {kind: ollama}
routes:
  chat: {chain: [local/m]}
"""


def no_files(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def check(
    text: str | bytes, environ: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
) -> Loaded:
    def read(path: str) -> str:
        return files[path] if files and path in files else no_files(path)

    return load(text, filename="routes.yaml", environ=environ or {}, read_file=read)


def found(loaded: Loaded) -> list[str]:
    """Every finding as `line:column severity: message [path]`."""
    return [f"{f.line}:{f.column} {f.severity}: {f.message} [{f.path}]" for f in loaded.findings]


def messages(loaded: Loaded) -> list[str]:
    return [finding.message for finding in loaded.findings]


def everything(loaded: Loaded) -> str:
    """All that anybody can be shown of a loaded file."""
    shown = [loaded.render(form) for form in ("text", "json", "github")]
    return "\n".join([*shown, repr(loaded), str(loaded.masked), *loaded.source_lines, str(loaded.unconfigured)])
