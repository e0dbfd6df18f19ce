"""Serves a model with llama.cpp's own server. The Python of the environment where that is installed runs it, not ours.

The one argument is JSON: `model` (a file), `name`, `window` (tokens of each of the two places), `embeddings`, and `key`
(what clients must have; null: anybody may ask). It prints its address, and ends when its standard input does.
"""

import json
import sys

import xllamacpp

PLACES = 2

wanted = json.loads(sys.argv[1])
settings = xllamacpp.CommonParams()
settings.model.path = wanted["model"]
settings.model_alias = {wanted["name"]}
settings.hostnames = ["127.0.0.1"]
settings.port = 0
settings.n_parallel = PLACES
settings.n_ctx = wanted["window"] * PLACES
settings.use_jinja = True
settings.warmup = settings.fit_params = settings.ui = False
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
settings.cache_ram_mib = 0
if wanted["key"] is not None:
    settings.api_keys = [wanted["key"]]
if wanted["embeddings"]:
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
