#!/usr/bin/env bash
# One banned symbol makes Mirostat greedy, whatever surprise it is asked for.
#
# Guess:   Mirostat 1 writes text with a surprise of tau bits a symbol, and a symbol that is banned (ignore_eos, or a
#          logit bias of false) is one symbol less.
# Seen:    Mirostat estimates how fast probabilities fall from the ratios of neighbours among the 100 likeliest
#          symbols. A banned one has probability 0, the last ratio is infinite, and one symbol is kept: the likeliest,
#          for each tau. With an alphabet of characters the 100 are all symbols, so that a text that must not end is
#          one letter again and again. Mirostat 2 does what it is asked for.
# Package: xllamacpp 2026.10.11549 (llama.cpp), gguf 0.19.0
# Where:   llama.cpp, llama_sampler_mirostat_apply (s_hat is the sum of logarithms of ratios)
# Date:    2026-11-29
# Output:
#   bits a symbol of 900; the model's: 4.6
#                            tau 1   tau 3
#   Mirostat 1                1.05    3.06
#     end of text banned      0.00    0.00
#     letter z banned         0.00    0.00
#   Mirostat 2                1.06    3.08
#     end of text banned      1.06    3.08
#     letter z banned         1.06    3.08
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 xllamacpp==2026.10.11549 gguf==0.19.0 numpy==2.4.6

.venv/bin/python - 2>log <<'EOF' || { grep Error log; exit 1; }
import math
import string
from collections import Counter

import gguf
import numpy as np
import xllamacpp

LETTERS = string.ascii_letters[:50]
PROBS = 1 / np.arange(1, 51) / sum(1 / np.arange(1, 51))
SPECIAL = [b"<unk>", b"<s>", b"</s>", b"<pad>"]
SIZE = 32  # channels


def write(path):
    """A network of one layer that reads nothing: each next symbol has the probabilities PROBS."""
    symbols = len(SPECIAL) + len(LETTERS)
    file = gguf.GGUFWriter(path, "llama")
    file.add_context_length(512)
    file.add_embedding_length(SIZE)
    file.add_block_count(1)
    file.add_feed_forward_length(SIZE)
    file.add_head_count(1)
    file.add_layer_norm_rms_eps(0.00001)
    file.add_vocab_size(symbols)
    file.add_tokenizer_model("llama")
    file.add_token_list(SPECIAL + [letter.encode() for letter in LETTERS])
    file.add_token_scores([0.0] * symbols)
    file.add_token_types([2, 3, 3, 3] + [1] * len(LETTERS))
    file.add_unk_token_id(0)
    file.add_bos_token_id(1)
    file.add_eos_token_id(2)
    file.add_add_bos_token(False)
    file.add_add_space_prefix(False)
    embedding, head = np.zeros((2, symbols, SIZE), np.float32)
    embedding[:, 0] = 1
    head[:, 0] = [-20 / SIZE**0.5] * len(SPECIAL) + list(np.log(PROBS) / SIZE**0.5)
    file.add_tensor("token_embd.weight", embedding)
    file.add_tensor("output.weight", head)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        file.add_tensor(f"{name}.weight", np.ones(SIZE, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        file.add_tensor(f"blk.0.{name}.weight", np.zeros((SIZE, SIZE), np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


write("letters.gguf")
params = xllamacpp.CommonParams()
params.model.path = "letters.gguf"
params.n_ctx = 512
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)


def bits(**options):
    """Entropy of the letters of three texts."""
    request = {"prompt": "a", "n_predict": 300, "temperature": 1.0, **options}
    texts = [server.handle_completions({**request, "seed": seed})["choices"][0]["text"] for seed in (1, 2, 3)]
    counts = Counter("".join(texts))
    return sum(count / counts.total() * math.log2(counts.total() / count) for count in counts.values())


BANS = {"": {}, "  end of text banned": {"ignore_eos": True}, "  letter z banned": {"logit_bias": [["z", False]]}}
print(f"bits a symbol of 900; the model's: {-sum(PROBS * np.log2(PROBS)):.1f}")
print("                         tau 1   tau 3")
rows = {}
for version in (1, 2):
    for name, ban in BANS.items():
        rows[version, name] = [bits(mirostat=version, mirostat_tau=tau, mirostat_eta=0.1, **ban) for tau in (1.0, 3.0)]
        print(f"{name or f'Mirostat {version}':22}", *(f"{value:7.2f}" for value in rows[version, name]))
for (version, name), values in rows.items():
    greedy = version == 1 and name
    for value, tau in zip(values, (1, 3)):
        assert value == 0 if greedy else abs(value - tau) < 0.2, "a ban leaves the surprise as it is asked for now"
EOF
