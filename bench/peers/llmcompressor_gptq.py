"""One GPTQ job by llm-compressor: W4 asymmetric, groups of 64, static act-order, SAMPLES x LENGTH tokens from the head of TEXT.

usage: llmcompressor_gptq.py MODEL_DIR OUT_DIR TEXT [SAMPLES LENGTH THREADS]

Prints one line of JSON: seconds of the whole job (loading, quantizing, saving; not the imports), peak_rss in bytes.
"""
import json
import resource
import sys
import time

import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    model_path, out, text = sys.argv[1:4]
    samples, length, threads = (int(word) for word in (sys.argv[4:] or (128, 512, 2)))
    torch.set_num_threads(threads)
    start = time.monotonic()
    model = AutoModelForCausalLM.from_pretrained(model_path, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_path)
    with open(text, encoding="utf-8", errors="ignore", newline="") as file:
        ids = tokenizer(file.read()).input_ids
    if len(ids) < samples * length:
        sys.exit(f"{text} has {len(ids)} tokens, {samples} x {length} are needed")
    windows = [ids[i * length : (i + 1) * length] for i in range(samples)]
    data = Dataset.from_dict({"input_ids": windows, "attention_mask": [[1] * length] * samples})
    weights = QuantizationArgs(num_bits=4, type="int", symmetric=False, strategy="group", group_size=64, actorder="static")
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    recipe = GPTQModifier(config_groups={"group_0": scheme}, ignore=["lm_head"], dampening_frac=0.01)
    oneshot(model=model, dataset=data, recipe=recipe, max_seq_length=length, num_calibration_samples=samples, output_dir=out,
            shuffle_calibration_samples=False)
    print(json.dumps({"seconds": time.monotonic() - start, "peak_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
