#!/usr/bin/env python3
"""Compares our logits with those of Transformers on the folders that tiny_models.py wrote.

    python3 compare_logits.py LOGITS_TOOL FOLDER_OF_MODELS [NAME ...]

LOGITS_TOOL is the program built from tests/runtime/logits_tool.cpp. Every model runs in one pass, in unequal chunks over a KV
cache, and token by token; each must be within TOLERANCE of the reference, and one thread must give the bits of two. Ends with
`N passed, N failed`. Needs numpy and safetensors.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from safetensors.numpy import load_file

TOLERANCE = 1e-4  # largest absolute difference of a logit; they deviate by about 1
MODES = ["whole", "chunk:32", "chunk:13", "decode"]


def run(tool, folder, ids, mode, threads):
    with tempfile.NamedTemporaryFile(suffix=".f32") as out:
        subprocess.run([tool, folder, out.name, mode, str(threads)], input=" ".join(map(str, ids)), text=True, check=True)
        return np.fromfile(out.name, dtype="<f4").reshape(len(ids), -1)


def check(tool, folder):
    reference = load_file(folder / "reference.safetensors")
    ids, wanted = reference["ids"], reference["logits"]
    found = {mode: run(tool, folder, ids, mode, 2) for mode in MODES}
    differences = {mode: float(np.abs(logits - wanted).max()) for mode, logits in found.items()}
    faults = [f"{mode} differs by {value:.2e}" for mode, value in differences.items() if not value <= TOLERANCE]
    for mode in ["whole", "decode"]:
        if not np.array_equal(run(tool, folder, ids, mode, 1), found[mode]):
            faults.append(f"{mode}: one thread differs from two")
    line = ", ".join(f"{mode} {value:.1e}" for mode, value in differences.items())
    print(f"{'FAIL' if faults else 'pass'} {folder.name}: {line}" + "".join(f"\n     {fault}" for fault in faults))
    return not faults


def main():
    tool, root = sys.argv[1], pathlib.Path(sys.argv[2])
    names = sys.argv[3:] or sorted(path.parent.name for path in root.glob("*/reference.safetensors"))
    results = [check(tool, root / name) for name in names]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if results and all(results) else 1)


if __name__ == "__main__":
    main()
