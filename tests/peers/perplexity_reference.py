#!/usr/bin/env python3
"""Perplexity and KL divergence with Transformers in fp32, on the same tokens as `quernel eval`.

usage: perplexity_reference.py MODEL_DIR --text FILE [--convention gptq|llama.cpp] [--ctx N] [--windows N] [--ref DIR]
                               [--threads N] [--compare JSON]          (needs torch, transformers)

Prints one line of JSON with the keys of `quernel eval ppl|kld --json`. --ref DIR measures the divergence of MODEL_DIR from DIR on
the second half of each window. --compare takes the JSON that quernel printed and fails where the figures are further apart than
0.01 in perplexity, or 1e-3 relative (1e-5 absolute) in mean KLD. SmolLM2 has no BOS; other models' is handled as in
src/eval/windows.h.
"""
import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def joined_rows(text):
    """The rows of the data set: a line with its break, a blank line as the empty string; two newlines between them."""
    rows = text.split("\n")
    if rows[-1] == "":
        rows = rows[:-1]
        ends = ["\n"] * len(rows)
    else:
        ends = ["\n"] * (len(rows) - 1) + [""]
    return "\n\n".join(row + end if row.strip() else "" for row, end in zip(rows, ends))


def tokenize(arguments):
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    with open(arguments.text, encoding="utf-8", newline="") as file:
        text = file.read()
    if arguments.convention == "gptq":
        text = joined_rows(text)
    ids = tokenizer(text, return_tensors="pt").input_ids[0]
    bos = tokenizer.bos_token_id if getattr(tokenizer, "add_bos_token", False) else None
    return ids, bos


def plan(arguments, ids, bos):
    second_half = arguments.convention == "llama.cpp" or arguments.ref is not None
    count = len(ids) // arguments.ctx
    if count == 0:
        sys.exit(f"text has {len(ids)} tokens, one window needs {arguments.ctx}")
    if arguments.windows:
        count = min(count, arguments.windows)
    windows = ids[: count * arguments.ctx].view(count, arguments.ctx).clone()
    if second_half and bos is not None:
        windows[:, 0] = bos
    return windows, arguments.ctx // 2 if second_half else 0


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def scored_log_probabilities(model, window, first):
    logits = model(window[None], use_cache=False).logits[0, first:-1].float()
    return torch.log_softmax(logits.double(), dim=-1)


def mean_and_error(values):
    values = torch.cat(values)
    return values.mean().item(), (values.std() / math.sqrt(len(values))).item(), len(values)


@torch.inference_mode()
def measure(arguments):
    ids, bos = tokenize(arguments)
    windows, first = plan(arguments, ids, bos)
    model = load(arguments.model)
    reference = load(arguments.ref) if arguments.ref else None
    start, nll, kld, same = time.time(), [], [], []
    for window in windows:
        log_q = scored_log_probabilities(model, window, first)
        nll.append(-log_q.gather(1, window[first + 1:, None])[:, 0])
        if reference is not None:
            log_p = scored_log_probabilities(reference, window, first)
            kld.append((log_p.exp() * (log_p - log_q)).sum(-1))
            same.append((log_p.argmax(-1) == log_q.argmax(-1)).double())
    mean, error, count = mean_and_error(nll)
    result = {"ppl": math.exp(mean), "stderr": math.exp(mean) * error, "tokens": count, "windows": len(windows),
              "ctx": arguments.ctx, "text_tokens": len(ids), "seconds": time.time() - start}
    if reference is not None:
        mean, error, _ = mean_and_error(kld)
        values = torch.cat(kld)
        result["kld"] = {"mean": mean, "se": error, "median": values.median().item(), "p99": values.quantile(0.99).item(),
                         "max": values.max().item()}
        result["top1"] = torch.cat(same).mean().item()
    return result


def compare(ours, theirs):
    problems = []
    if ours["tokens"] != theirs["tokens"] or ours["text_tokens"] != theirs["text_tokens"]:
        problems.append(f"tokens {ours['tokens']} of {ours['text_tokens']}, expected {theirs['tokens']} of {theirs['text_tokens']}")
    if abs(ours["ppl"] - theirs["ppl"]) > 0.01:
        problems.append(f"perplexity {ours['ppl']}, expected {theirs['ppl']}")
    if "kld" in theirs:
        expected = theirs["kld"]["mean"]
        if abs(ours["kld"]["mean"] - expected) > 1e-3 * expected + 1e-5:
            problems.append(f"mean KLD {ours['kld']['mean']}, expected {expected}")
        if abs(ours["top1"] - theirs["top1"]) > 2.5 / theirs["tokens"]:
            problems.append(f"top-1 {ours['top1']}, expected {theirs['top1']}")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--text", required=True)
    parser.add_argument("--convention", choices=["gptq", "llama.cpp"], default="gptq")
    parser.add_argument("--ctx", type=int, default=0)
    parser.add_argument("--windows", type=int, default=0)
    parser.add_argument("--ref")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compare")
    arguments = parser.parse_args()
    if arguments.ref:
        arguments.convention = "llama.cpp"
    arguments.ctx = arguments.ctx or (2048 if arguments.convention == "gptq" else 512)
    torch.set_num_threads(arguments.threads)
    result = measure(arguments)
    print(json.dumps(result))
    if arguments.compare:
        problems = compare(json.loads(Path(arguments.compare).read_text()), result)
        if problems:
            sys.exit("; ".join(problems))


if __name__ == "__main__":
    main()
