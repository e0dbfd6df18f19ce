"""A documented key that the validator did not know was dropped without a word (Portkey, retry settings)."""

from proxy.config.load import load


def test_unknown_keys_are_errors_with_a_suggestion() -> None:
    text = "version: 1\nupstreams: {a: {kind: simulated}}\nroutes: {r: {chain: [a/m], retry: {atempts: 2}}}\n"
    loaded = load(text, filename="routes.yaml", environ={}, read_file=str)

    assert loaded.config is None
    assert ["unknown key 'atempts'; did you mean 'attempts'?"] == [finding.message for finding in loaded.findings]
