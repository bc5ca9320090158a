"""`quernel run` over the integer runtime beside Transformers: the greedy continuation of a GGUF model, token for token.

usage: run_agreement.py QUERNEL MODEL.gguf

Weights of the file stay as they are, activations have 16 bits in two parts, the cache 16: what differs from floats is about 1e-6 of divergence, so only a tie
that is closer than that could go the other way. Transformers computes with the file's blocks dequantized to fp32.
"""
import json
import pathlib
import subprocess
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = [
    "The three states of matter are",
    "def fibonacci(n):\n    ",
    "In the year 1969, the first people walked on the",
    "A recipe for bread: take flour, water,",
]
NEW_TOKENS = 40


def main():
    quernel, model_file = sys.argv[1], pathlib.Path(sys.argv[2])
    where = {"pretrained_model_name_or_path": str(model_file.parent), "gguf_file": model_file.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    wrong = 0
    for prompt in PROMPTS:
        words = [quernel, "run", str(model_file), "--prompt", prompt, "-n", str(NEW_TOKENS), "--kv-bits", "16", "--json", "--packed", "off"]
        found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)["tokens"]
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            expected = model.generate(ids, max_new_tokens=NEW_TOKENS, do_sample=False)[0, ids.shape[1]:].tolist()
        same = found == expected[:len(found)] and len(found) >= len([t for t in expected if t not in (model.generation_config.eos_token_id,)])
        wrong += not same
        print("same" if same else f"differs: ours {found}, Transformers {expected}", repr(prompt))
    print(f"{len(PROMPTS) - wrong} of {len(PROMPTS)} continuations of {NEW_TOKENS} tokens agree")
    sys.exit(wrong > 0)


main()
