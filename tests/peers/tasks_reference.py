#!/usr/bin/env python3
"""Zero-shot tasks scored with Transformers in fp32, held against `quernel eval tasks`.

usage: tasks_reference.py QUERNEL MODEL_DIR --data DIR [--items 25] [--threads N]          (needs torch, transformers)

Written from the definitions of lm-evaluation-harness 0.4 (task files, TemplateLM._encode_pair, HFLM._loglikelihood_tokens), one sequence
at a time; nothing is shared with the C++ code. DIR holds piqa_valid.jsonl and its labels, arc_easy_test.jsonl,
hellaswag_val_full.txt.bz2, winogrande_xl_validation.jsonl and lambada_test.jsonl. For the first items of each, the counts of right answers
(acc, acc_norm) must be the same and the mean negative log-likelihood of the gold within 1e-3. Ends with `N passed, N failed`.
"""
import argparse
import bz2
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

TOLERANCE = 1e-3


def records(path, count):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for _, line in zip(range(count), file)]


# name -> items (contexts of the choices, continuations, texts that acc_norm measures, gold)

def piqa(data, count):
    labels = [int(line) for line in (data / "piqa_valid-labels.lst").read_text().split()]
    for row, gold in zip(records(data / "piqa_valid.jsonl", count), labels):
        choices = [row["sol1"], row["sol2"]]
        yield [f"Question: {row['goal']}\nAnswer:"] * 2, [f" {choice}" for choice in choices], choices, gold


def arc(data, count):
    for row in records(data / "arc_easy_test.jsonl", count):
        choices = row["choices"]
        yield [f"Question: {row['question']}\nAnswer:"] * len(choices), [f" {choice}" for choice in choices], choices, row["gold"]


def hellaswag(data, count):
    with bz2.open(data / "hellaswag_val_full.txt.bz2", "rt", encoding="utf-8", newline="\n") as file:
        lines = [line.removesuffix("\n") for _, line in zip(range(6 * count), file)]
    for at in range(0, len(lines), 6):
        context, gold, *endings = lines[at:at + 6]
        yield [context] * 4, [f" {ending}" for ending in endings], endings, int(gold)


def winogrande(data, count):
    for row in records(data / "winogrande_xl_validation.jsonl", count):
        gap = row["sentence"].index("_")
        rest = row["sentence"][gap + 1:].strip()
        contexts = [row["sentence"][:gap] + row[option] for option in ("option1", "option2")]
        yield contexts, [f" {rest}"] * 2, [rest] * 2, int(row["answer"]) - 1


def lambada(data, count):
    for row in records(data / "lambada_test.jsonl", count):
        *before, last = row["text"].split(" ")
        yield [" ".join(before)], [f" {last}"], [last], 0


TASKS = {"piqa": (piqa, "piqa_valid.jsonl"), "arc": (arc, "arc_easy_test.jsonl"), "hellaswag": (hellaswag, None),
         "winogrande": (winogrande, "winogrande_xl_validation.jsonl"), "lambada": (lambada, "lambada_test.jsonl")}


class Scorer:
    def __init__(self, path):
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        self.begin = [self.tokenizer.bos_token_id] if getattr(self.tokenizer, "add_bos_token", False) else []

    def encode(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @torch.inference_mode()
    def score(self, context, continuation):
        """Log-likelihood of the continuation, and whether each of its tokens is the likeliest."""
        spaces = len(context) - len(context.rstrip())
        if spaces > 0:
            context, continuation = context[:-spaces], context[-spaces:] + continuation
        whole = self.encode(context + continuation)
        target = whole[len(self.encode(context)):]
        fed = (self.begin + whole)[-(self.model.config.max_position_embeddings + 1):][:-1]
        logits = self.model(torch.tensor([fed]), use_cache=False).logits[0, -len(target):].double()
        wanted = torch.tensor(target)
        log_p = torch.log_softmax(logits, dim=-1).gather(1, wanted[:, None])
        return log_p.sum().item(), bool((logits.argmax(-1) == wanted).all())


def measure(scorer, items):
    right = right_normalized = nll = count = 0
    for contexts, continuations, texts, gold in items:
        scores = [scorer.score(*pair) for pair in zip(contexts, continuations)]
        sums = [score for score, _ in scores]
        shares = [score / len(text) for score, text in zip(sums, texts)]
        right += scores[0][1] if len(scores) == 1 else sums.index(max(sums)) == gold
        right_normalized += shares.index(max(shares)) == gold
        nll -= sums[gold]
        count += 1
    return {"n": count, "right": int(right), "right_normalized": int(right_normalized), "gold_nll": nll / count}


def faults_of(ours, theirs):
    faults = []
    if ours["n"] != theirs["n"]:
        faults.append(f"{ours['n']} items of {theirs['n']}")
    if round(ours["acc"] * ours["n"]) != theirs["right"]:
        faults.append(f"acc {ours['acc']}, expected {theirs['right']} of {theirs['n']}")
    if "acc_norm" in ours and round(ours["acc_norm"] * ours["n"]) != theirs["right_normalized"]:
        faults.append(f"acc_norm {ours['acc_norm']}, expected {theirs['right_normalized']} of {theirs['n']}")
    if not abs(ours["gold_nll"] - theirs["gold_nll"]) <= TOLERANCE:
        faults.append(f"gold_nll {ours['gold_nll']}, expected {theirs['gold_nll']}")
    return faults


def run_ours(arguments, folder):
    text = Path(folder) / "hellaswag.txt"
    text.write_bytes(bz2.decompress((arguments.data / "hellaswag_val_full.txt.bz2").read_bytes()))
    command = [arguments.quernel, "eval", "tasks", arguments.model, "--limit", arguments.items, "--json", "--progress", "none"]
    for name, (_, file) in TASKS.items():
        command += ["--task", f"{name}={arguments.data / file if file else text}"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"quernel eval tasks: exit {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)["tasks"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quernel")
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--items", type=int, default=25)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        ours = run_ours(arguments, folder)
    scorer = Scorer(arguments.model)
    failed = 0
    for name, (items, _) in TASKS.items():
        theirs = measure(scorer, items(arguments.data, arguments.items))
        faults = faults_of(ours[name], theirs)
        failed += bool(faults)
        print(f"{'FAILED' if faults else 'passed'}: {name:10} {theirs['right']}/{theirs['n']} right, gold_nll {theirs['gold_nll']:.5f}, "
              f"ours {ours[name]['gold_nll'] - theirs['gold_nll']:+.1e}  {'; '.join(faults)}", flush=True)
    print(f"{len(TASKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
