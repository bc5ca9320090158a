#!/usr/bin/env python3
"""Load our exports with Transformers and compare their logits with those of the weights that the writer computed.

  load_exports.py SOURCE OUT [OUT ...] [--text TEXT] [--ours FILE]

SOURCE is the dense Hugging Face folder that OUT was made from. For every checkpoint in OUT:
  - its weights, dequantized by gptq_dequant.py, must have the hashes in the manifest;
  - a dense model of SOURCE with those weights gives reference logits, in float32;
  - compressed-tensors: AutoModelForCausalLM loads the folder itself; decompressed weights must equal ours bit for bit, and the
    logits must agree. The gptq and awq layouts need GPTQModel, which is no part of this environment, so there the dequantized
    weights stand in;
  - awq: modules_to_not_convert leaves out the modules that are dense, by Transformers' own rule and by that of vLLM (a piece of the
    name);
  - the tokenizer of the folder must give the ids that SOURCE's gives.
--ours FILE: float32 logits [tokens, vocabulary] of our own runtime on the same ids (printed with --ids), compared as well.
Ends with `N passed, N failed`. Needs torch, transformers, compressed-tensors, numpy and safetensors.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.quantizers.quantizers_utils import should_convert_module
from transformers.utils import logging

import gptq_dequant

TEXT = "The capital of France is Paris. def add(a, b):\n    return a + b\n"
LOGIT_TOLERANCE = 1e-4  # same weights, same code: only the order of sums may differ


def load(path: Path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()


def logits_of(model, ids) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def reference_logits(source: Path, folder: gptq_dequant.Folder, weights: dict, ids) -> np.ndarray:
    """The dense model with our quantized weights, and with the other tensors as the folder stores them."""
    model = load(source)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for module, weight in weights.items():
            parameters[module + ".weight"].copy_(torch.from_numpy(weight))
        for name in folder.manifest["tensors"]:
            if name in parameters:
                parameters[name].copy_(torch.from_numpy(np.ascontiguousarray(folder[name]).astype(np.float32)))
    return logits_of(model, ids)


def check_loaded(path: Path, weights: dict, reference: np.ndarray, ids) -> list[str]:
    """Faults of the folder as Transformers loads it by itself."""
    model = load(path)
    found = logits_of(model, ids)  # the first pass decompresses
    faults = []
    modules = dict(model.named_modules())
    for module, weight in weights.items():
        stored = modules[module].weight
        if stored.dtype != torch.float32 or not np.array_equal(stored.detach().numpy(), weight):
            difference = np.abs(stored.detach().float().numpy() - weight).max()
            faults.append(f"{module}: {stored.dtype}, weights differ by up to {difference:.3e}")
    difference = float(np.abs(found - reference).max())
    print(f"  loaded by transformers: {len(weights)} modules, largest difference of a logit {difference:.2e}")
    if not difference <= LOGIT_TOLERANCE:
        faults.append(f"logits differ by {difference:.3e}")
    return faults


def check_left_out(source: Path, folder: gptq_dequant.Folder) -> list[str]:
    """Faults of modules_to_not_convert: what it leaves out, of all linear modules of the blocks, must be what is not quantized."""
    keys = folder.quantization["modules_to_not_convert"]
    modules = [name for name, module in load(source).named_modules() if isinstance(module, torch.nn.Linear) and ".layers." in name]
    faults = []
    for name in modules:
        rules = {should_convert_module(name, keys), not any(key in name for key in keys or [])}
        if rules != {name in folder.manifest["modules"]}:
            faults.append(f"{name}: modules_to_not_convert says otherwise than the file")
    print(f"  modules_to_not_convert: {len(modules)} modules, {len(modules) - len(folder.manifest['modules'])} dense")
    return faults


def check(source: Path, path: Path, text: str, ours: Path | None) -> list[str]:
    folder = gptq_dequant.Folder(path)
    faults = [f"{module}: not what the manifest says" for module in gptq_dequant.check(path)["wrong"]]
    tokenizers = [AutoTokenizer.from_pretrained(place) for place in (source, path)]
    ids, again = (tokenizer(text)["input_ids"] for tokenizer in tokenizers)
    if ids != again:
        faults.append("tokenizer gives other ids")
    weights = {module: np.ascontiguousarray(gptq_dequant.weight_of(folder, module)) for module in folder.manifest["modules"]}
    reference = reference_logits(source, folder, weights, ids)
    if folder.manifest["format"] == "compressed-tensors":
        faults += check_loaded(path, weights, reference, ids)
    if folder.manifest["format"] == "awq":
        faults += check_left_out(source, folder)
    if ours is not None:
        found = np.fromfile(ours, dtype="<f4").reshape(len(ids), -1)
        difference = float(np.abs(found - reference).max())
        print(f"  our runtime: largest difference of a logit {difference:.2e}")
        if not difference <= LOGIT_TOLERANCE:
            faults.append(f"our logits differ by {difference:.3e}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path, nargs="+")
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--ours", type=Path)
    parser.add_argument("--ids", action="store_true", help="print the ids of the text and stop")
    arguments = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if arguments.ids:
        print(*AutoTokenizer.from_pretrained(arguments.source)(arguments.text)["input_ids"])
        return 0
    passed = failed = 0
    for path in (path for out in arguments.out for path in gptq_dequant.checkpoints(out)):
        faults = check(arguments.source, path, arguments.text, arguments.ours)
        print(f"{'FAILED' if faults else 'passed'} {path}")
        for fault in faults[:10]:
            print(f"  {fault}")
        passed, failed = passed + (not faults), failed + bool(faults)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 5


if __name__ == "__main__":
    sys.exit(main())
