"""`quernel run` over the integer runtime beside Transformers: the greedy continuation of a GGUF model, token for token.

usage: run_agreement.py QUERNEL MODEL.gguf DENSE_FOLDER

The folder holds the file's blocks dequantized (offgrid.py). Ours stay as they are, activations have 16 bits in two parts, the cache 16: what differs from floats
is about 1e-6 of divergence, so only a tie that is closer than that could go the other way.
"""
import json
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
    quernel, model_file, dense = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(dense, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(dense)
    wrong = 0
    for prompt in PROMPTS:
        words = [quernel, "run", model_file, "--prompt", prompt, "-n", str(NEW_TOKENS), "--kv-bits", "16", "--json", "--packed", "off"]
        found = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)["tokens"]
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            expected = model.generate(ids, max_new_tokens=NEW_TOKENS, do_sample=False)[0, ids.shape[1]:].tolist()
        # Ours ends before the token that says so.
        if expected[-1] == model.generation_config.eos_token_id:
            expected.pop()
        same = found == expected
        wrong += not same
        print("same" if same else f"differs: ours {found}, Transformers {expected}", repr(prompt))
    print(f"{len(PROMPTS) - wrong} of {len(PROMPTS)} continuations of {NEW_TOKENS} tokens agree")
    sys.exit(wrong > 0)


main()
