#!/usr/bin/env python3
"""Our containers against the libraries of other projects, both ways.

Needs the Python packages numpy, gguf and safetensors, and the program quernel_io_peer (ninja quernel_io_peer).

    python3 tests/peers/io_roundtrip.py --peer build/bin/quernel_io_peer [--gguf MODEL.gguf ...] [--folder HF_FOLDER ...]

Checks: blocks of every GGUF type decoded bit for bit as the gguf package does; GGUF files that it writes, and any given real
one, read to the same names, shapes, bytes and metadata; safetensors files and shards that the safetensors package writes, read
alike; the same written by us, byte-identical to the package's file for one shard and equal in content for several.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy
import safetensors
import safetensors.numpy

DECODED_TYPES = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
                 "IQ4_NL", "IQ4_XS"]
BLOCKS_PER_TYPE = 20_000

passed = 0
failed = 0


def check(condition, what):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {what}")


def sha256(data):
    return hashlib.sha256(bytes(data)).hexdigest()


class Peer:
    def __init__(self, program):
        self.program = program

    def run(self, *args):
        done = subprocess.run([self.program, *map(str, args)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{args}: {done.stderr.strip()}")
        return done.stdout

    def list(self, path):
        return json.loads(self.run("list", path))


def compare_blocks(peer, folder, rng):
    for name in DECODED_TYPES:
        kind = gguf.GGMLQuantizationType[name]
        _, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (BLOCKS_PER_TYPE, block_bytes), dtype=numpy.uint8)
        source, target = folder / "blocks", folder / "floats"
        source.write_bytes(blocks.tobytes())
        peer.run("decode", int(kind), source, target)
        ours = numpy.fromfile(target, dtype=numpy.uint32)
        with numpy.errstate(all="ignore"):
            if name == "F32":
                theirs = blocks.view(numpy.float32)
            elif name == "F16":
                theirs = blocks.view(numpy.float16).astype(numpy.float32)
            else:
                theirs = gguf.dequantize(blocks, kind)
        theirs = numpy.ascontiguousarray(theirs, dtype=numpy.float32).reshape(-1)
        # The payload of a NaN means nothing and depends on the processor.
        ours_nan, theirs_nan = numpy.isnan(ours.view(numpy.float32)), numpy.isnan(theirs)
        same = (ours == theirs.view(numpy.uint32)) | (ours_nan & theirs_nan)
        check(ours.size == theirs.size and bool(same.all()), f"{name}: {int((~same).sum())} of {same.size} values differ")
        print(f"{name}: {same.size} values, {int(theirs_nan.sum())} NaN")


def compare_gguf(peer, path):
    listed = peer.list(path)
    reader = gguf.GGUFReader(path)
    tensors = {tensor["name"]: tensor for tensor in listed["tensors"]}
    check(list(tensors) == [tensor.name for tensor in reader.tensors], f"{path}: names of tensors")
    for tensor in reader.tensors:
        ours = tensors[tensor.name]
        check(ours["type"] == tensor.tensor_type.name, f"{tensor.name}: type")
        check(ours["shape"] == [int(size) for size in reversed(tensor.shape)], f"{tensor.name}: shape")
        check(ours["offset"] == int(tensor.data_offset), f"{tensor.name}: offset")
        check(ours["sha256"] == sha256(tensor.data.tobytes()), f"{tensor.name}: bytes")
        if ours["float_sha256"]:
            floats = gguf.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32)
            check(ours["float_sha256"] == sha256(floats.tobytes()), f"{tensor.name}: values")
    keys = [key for key in reader.fields if not key.startswith("GGUF.")]
    check(list(listed["metadata"]) == keys, f"{path}: metadata keys")
    for key in keys:
        field = reader.fields[key]
        if field.types[0] in (gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.STRING):
            continue
        check(listed["metadata"][key]["sha256"] == sha256(field.parts[field.data[0]].tobytes()), f"{key}: value")
    print(f"{path}: {len(tensors)} tensors, {len(keys)} keys")


def write_gguf(path, rng):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_float32("peer.f32", 1.5)
    writer.add_float64("peer.f64", -2.25)
    for width in (8, 16, 32, 64):
        getattr(writer, f"add_uint{width}")(f"peer.u{width}", 7)
        getattr(writer, f"add_int{width}")(f"peer.i{width}", -7)
    writer.add_bool("peer.bool", True)
    writer.add_string("peer.string", "caf\u00e9 \U0001f600")
    writer.add_array("peer.strings", ["a", "", "\u2581x"])
    writer.add_array("peer.numbers", [1, -2, 3])
    writer.add_array("peer.floats", [0.5, -1.0])
    for name in DECODED_TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block_elements, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        if name in ("F32", "F16"):
            writer.add_tensor(f"t.{name}", rng.standard_normal((3, 5)).astype(name.lower().replace("f", "float")))
            continue
        blocks = rng.integers(0, 64, (3, 2 * block_bytes), dtype=numpy.uint8)  # scales stay finite
        writer.add_tensor(f"t.{name}", blocks, raw_shape=blocks.shape, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def some_tensors(rng):
    names = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64",
             "bool"]
    tensors = {}
    for index, name in enumerate(names):
        tensors[f"z.{index}.{name}"] = rng.integers(0, 2, (index + 1, 3)).astype(name)
    tensors["scalar"] = numpy.array(3.5, dtype=numpy.float32)
    tensors["empty"] = numpy.zeros((0, 4), dtype=numpy.float16)
    tensors["caf\u00e9.\"quoted\\\""] = numpy.arange(5, dtype=numpy.float32)
    tensors["a.first"] = numpy.arange(4, dtype=numpy.float32)
    return tensors


def compare_listing(peer, path, tensors):
    listed = {tensor["name"]: tensor for tensor in peer.list(path)["tensors"]}
    check(set(listed) == set(tensors), f"{path}: names")
    for name, array in tensors.items():
        check(listed[name]["shape"] == list(array.shape), f"{path}: shape of {name}")
        check(listed[name]["sha256"] == sha256(array.tobytes()), f"{path}: bytes of {name}")


def compare_content(folder, tensors, what):
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        found.update(safetensors.numpy.load_file(path))
    check(set(found) == set(tensors), f"{what}: names")
    for name, array in tensors.items():
        same = found[name].dtype == array.dtype and found[name].shape == array.shape
        check(same and found[name].tobytes() == array.tobytes(), f"{what}: {name}")


def compare_safetensors(peer, folder, rng):
    tensors = some_tensors(rng)
    source = folder / "source"
    source.mkdir()
    theirs = source / "model.safetensors"
    safetensors.numpy.save_file(tensors, theirs, metadata={"format": "pt"})
    compare_listing(peer, theirs, tensors)

    peer.run("copy", source, folder / "single", 10**9)
    check((folder / "single" / "model.safetensors").read_bytes() == theirs.read_bytes(), "one shard: bytes of the file")
    check(not (folder / "single" / "model.safetensors.index.json").exists(), "one shard: no index")

    peer.run("copy", source, folder / "shards", 100)
    compare_content(folder / "shards", tensors, "shards")
    compare_listing(peer, folder / "shards", tensors)
    index = json.loads((folder / "shards" / "model.safetensors.index.json").read_text())
    check(set(index["weight_map"]) == set(tensors), "index: names")
    check(index["metadata"]["total_size"] == sum(array.nbytes for array in tensors.values()), "index: total_size")
    for name, file in index["weight_map"].items():
        with safetensors.safe_open(folder / "shards" / file, "numpy") as opened:
            check(name in opened.keys(), f"index: {name} in {file}")
            check(opened.metadata() == {"format": "pt"}, f"{file}: metadata")


def compare_folder(peer, folder):
    """Listing of a real folder against the headers as the safetensors package sees them."""
    listed = {tensor["name"]: tensor for tensor in peer.list(folder)["tensors"]}
    names = set()
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with safetensors.safe_open(path, "numpy") as opened:
            for name in opened.keys():
                names.add(name)
                part = opened.get_slice(name)
                check(listed[name]["shape"] == part.get_shape(), f"{name}: shape")
                check(listed[name]["type"] == part.get_dtype(), f"{name}: dtype")
                if part.get_dtype() != "BF16":
                    check(listed[name]["sha256"] == sha256(opened.get_tensor(name).tobytes()), f"{name}: bytes")
    check(names == set(listed), f"{folder}: names")
    print(f"{folder}: {len(names)} tensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", default="build/bin/quernel_io_peer")
    parser.add_argument("--gguf", action="append", default=[], help="a real GGUF file to compare as well")
    parser.add_argument("--folder", action="append", default=[], help="a real safetensors folder to compare as well")
    args = parser.parse_args()
    peer = Peer(args.peer)
    rng = numpy.random.default_rng(20261122)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        compare_blocks(peer, folder, rng)
        write_gguf(folder / "written.gguf", rng)
        compare_gguf(peer, folder / "written.gguf")
        compare_safetensors(peer, folder, rng)
    for path in args.gguf:
        compare_gguf(peer, path)
    for path in args.folder:
        compare_folder(peer, path)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
