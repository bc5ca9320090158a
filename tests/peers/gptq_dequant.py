#!/usr/bin/env python3
"""Dequantize our exports with numpy, from the published packings, and compare with what the writer noted.

  gptq_dequant.py OUT            a folder in the gptq, awq, pack-quantized or our own layout, or one that holds several

Every quantized module is unpacked bit by bit (no code shared with the writer), dequantized to float32 and hashed; the hash must be
the one in quernel/manifest.json, which the writer took from the solver's matrix. Ends with `N passed, N failed`. Needs numpy and safetensors.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open


def read_stream(words: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Values of `bits` bits from the last axis of little-endian 32-bit words, lowest bit first."""
    data = np.ascontiguousarray(words).astype("<u4").view(np.uint8)
    stream = np.unpackbits(data, axis=-1, bitorder="little")[..., : count * bits]
    fields = stream.reshape(*stream.shape[:-1], count, bits).astype(np.int32)
    return fields @ (1 << np.arange(bits, dtype=np.int32))


class Folder:
    """Tensors of a checkpoint folder, whatever its shards. BF16 becomes float32 by hand: numpy has no such type."""

    def __init__(self, path: Path):
        self.path = path
        self.config = json.loads((path / "config.json").read_text())
        self.quantization = self.config["quantization_config"]
        self.manifest = json.loads((path / "quernel" / "manifest.json").read_text())
        report = path / "quernel" / "report.json"
        self.report = json.loads(report.read_text()) if report.exists() else None
        index = path / "model.safetensors.index.json"
        if index.exists():
            places = json.loads(index.read_text())["weight_map"]
        else:
            with safe_open(path / "model.safetensors", framework="np") as file:
                places = dict.fromkeys(file.keys(), "model.safetensors")
        self.places = places
        self.files = {name: safe_open(path / name, framework="np") for name in set(places.values())}

    def __contains__(self, name):
        return name in self.places

    def __getitem__(self, name: str) -> np.ndarray:
        if self.manifest["tensors"][name]["dtype"] == "BF16":
            return self.bfloat16(name)
        return self.files[self.places[name]].get_tensor(name)

    def bfloat16(self, name: str) -> np.ndarray:
        raw = (self.path / self.places[name]).read_bytes()
        length = int.from_bytes(raw[:8], "little")
        entry = json.loads(raw[8 : 8 + length])[name]
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        halves = np.frombuffer(raw[begin:end], "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(entry["shape"])


def gptq_weight(folder: Folder, module: str) -> np.ndarray:
    config = folder.quantization
    bits = config["bits"]
    qweight = folder[module + ".qweight"].view(np.uint32)  # [K * bits / 32, N]
    scales = folder[module + ".scales"]  # [G, N] float16
    groups = folder[module + ".g_idx"]  # [K]
    codes = read_stream(qweight.T, bits, len(groups))  # [N, K]
    zeros = read_stream(folder[module + ".qzeros"].view(np.uint32), bits, scales.shape[1])  # [G, N]
    if config["checkpoint_format"] == "gptq":
        zeros = (zeros + 1) % (1 << bits)
    if config["sym"]:
        assert np.all(zeros == 1 << (bits - 1)), f"{module}: symmetric, but zeros differ from {1 << (bits - 1)}"
    return (codes - zeros[groups].T).astype(np.float32) * scales[groups].T.astype(np.float32)


AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # nibble i of a word is of its output AWQ_ORDER[i]


def awq_outputs(words: np.ndarray) -> np.ndarray:
    """[rows, N / 8] words -> [rows, N] values, one for each output."""
    nibbles = (words.view(np.uint32)[..., None] >> (4 * np.arange(8, dtype=np.uint32))) & 15
    values = np.empty(nibbles.shape, np.int32)
    values[..., AWQ_ORDER] = nibbles
    return values.reshape(len(words), -1)


def awq_weight(folder: Folder, module: str) -> np.ndarray:
    config = folder.quantization
    assert config["bits"] == 4 and config["version"] == "gemm" and config["zero_point"] is True
    codes = awq_outputs(folder[module + ".qweight"])  # [K, N]
    zeros = awq_outputs(folder[module + ".qzeros"])  # [G, N]
    scales = folder[module + ".scales"]  # [G, N] float16
    group_size = len(codes) if config["group_size"] == -1 else config["group_size"]
    assert len(zeros) == len(scales) == len(codes) // group_size and len(codes) % group_size == 0, module
    groups = np.arange(len(codes)) // group_size
    return ((codes - zeros[groups]).astype(np.float32) * scales[groups].astype(np.float32)).T


def compressed_tensors_weight(folder: Folder, module: str) -> np.ndarray:
    args = folder.quantization["config_groups"]["group_0"]["weights"]
    bits = args["num_bits"]
    rows, cols = folder[module + ".weight_shape"]
    codes = read_stream(folder[module + ".weight_packed"].view(np.uint32), bits, cols) - (1 << (bits - 1))
    scales = folder[module + ".weight_scale"].astype(np.float32)  # [N, G]
    zeros = np.zeros_like(scales, dtype=np.int32)
    if not args["symmetric"]:
        packed = folder[module + ".weight_zero_point"].view(np.uint32)  # [N * bits / 32, G]
        zeros = read_stream(packed.T, bits, rows).T - (1 << (bits - 1))
    group_size = args["group_size"] or cols
    groups = np.arange(cols) // group_size
    return (codes - zeros[:, groups]).astype(np.float32) * scales[:, groups]


def native_weight(folder: Folder, module: str) -> np.ndarray:
    """docs/format.md, version 1."""
    config = folder.quantization
    assert config["version"] == 1 and config["format"] == "two-level-int4"
    pairs = folder[module + ".codes"]
    codes = np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(len(pairs), -1).astype(np.int32)
    packed = folder[module + ".groups"].astype(np.int32)
    zeros, scales = packed & 15, (packed >> 4) + 1
    cols = next(layer["shape"][1] for layer in folder.report["layers"] if layer["name"] == module)
    groups = np.arange(cols) // (cols if config["group_size"] == -1 else config["group_size"])
    weight = scales[:, groups] * (codes[:, :cols] - zeros[:, groups])
    assert weight.min() >= -128 and weight.max() <= 127, f"{module}: a value outside INT8"
    return weight.astype(np.float32) * folder[module + ".scales"].astype(np.float32)[:, None]


def weight_of(folder: Folder, module: str) -> np.ndarray:
    readers = {
        "gptq": gptq_weight,
        "awq": awq_weight,
        "compressed-tensors": compressed_tensors_weight,
        "quernel": native_weight,
    }
    return readers[folder.quantization["quant_method"]](folder, module)


def check(path: Path) -> dict:
    folder = Folder(path)
    wrong = []
    for module, noted in folder.manifest["modules"].items():
        weight = np.ascontiguousarray(weight_of(folder, module))
        if hashlib.sha256(weight.tobytes()).hexdigest() != noted["dequantized_sha256"]:
            wrong.append(module)
    return {
        "folder": path.name,
        "format": folder.manifest["format"],
        "modules": len(folder.manifest["modules"]),
        "wrong": wrong,
        "passed": not wrong and len(folder.manifest["modules"]) > 0,
    }


def checkpoints(out: Path) -> list[Path]:
    return [out] if (out / "config.json").exists() else sorted(path.parent for path in out.glob("*/config.json"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="+")
    folders = [path for out in parser.parse_args().out for path in checkpoints(out)]
    results = [check(path) for path in folders]
    for result in results:
        print(json.dumps(result))
    passed = sum(result["passed"] for result in results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if results and passed == len(results) else 5


if __name__ == "__main__":
    sys.exit(main())
