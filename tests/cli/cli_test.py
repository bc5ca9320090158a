#!/usr/bin/env python3
"""The command as a user meets it: every sub-command on a tiny model, exit codes, and what bad input gets.

usage: cli_test.py QUERNEL        standard library only
"""
import csv
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import tiny_model

PROGRAM = os.path.abspath(sys.argv[1])


def tensors_of(path):
    """The tensors of a safetensors file: name -> (dtype, shape, bytes)."""
    raw = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    return {name: (entry["dtype"], entry["shape"], raw[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def quernel(*arguments, stdin=None, env=None, expect=0):
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, env={**os.environ, **(env or {})})
    error = done.stderr.decode(errors="replace")
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{arguments}: exit {done.returncode}, expected {expect}\n{error}")
    return done.stdout, error


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.model = tiny_model.write(cls.folder / "model")
        cls.text = tiny_model.calibration_text(cls.folder / "calib.txt")
        cls.out = cls.folder / "out"
        stdout, _ = quernel("quantize", cls.model, "-o", cls.out, *cls.job(), "--json")
        cls.report = json.loads(stdout)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def job(cls):
        return ["--bits", "4", "--group-size", "32", "--calib", cls.text, "--calib-samples", "4", "--calib-seqlen", "64"]

    def broken_model(self, change):
        folder = self.folder / self._testMethodName
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.model, folder)
        change(folder)
        return folder

    # What a job leaves behind.

    def test_report_has_its_keys(self):
        for key in ("tool", "command", "source", "method", "totals", "calibration", "layers", "warnings", "checks"):
            self.assertIn(key, self.report)
        self.assertEqual(len(self.report["layers"]), 14)
        self.assertTrue(self.report["checks"]["reload"])
        self.assertEqual(self.report["checks"]["logits_max_abs"], 0)
        self.assertEqual(json.loads((self.out / "quernel/report.json").read_text())["totals"]["params"],
                         self.report["totals"]["params"])
        self.assertEqual(len((self.out / "quernel/layers.csv").read_text().splitlines()), 15)
        self.assertFalse(pathlib.Path(f"{self.out}.job").exists())

    def test_all_formats_and_methods(self):
        formats = ("gptq", "awq", "compressed-tensors")
        for method in ("gptq", "rtn", "hqq", "awq"):
            out = self.folder / f"all_{method}"
            quernel("quantize", self.model, "-o", out, *self.job(), "--method", method, "--format", ",".join(formats))
            for name in formats:
                config = json.loads((out / name / "config.json").read_text())["quantization_config"]
                self.assertEqual(config["quant_method"], name)
            quernel("verify", out, "--against", self.model)
            losses = [json.loads(quernel("eval", "ppl", out / name, "--text", self.text, "--ctx", 64, "--windows", 2, "--json")[0])["ppl"]
                      for name in formats]
            self.assertEqual(len(set(losses)), 1)  # the same weights to the last bit

    def test_awq_layout(self):
        out = self.folder / "awq_layout"
        job = ["--calib", self.text, "--calib-samples", "4", "--calib-seqlen", "64", "--format", "awq"]
        stored = []
        for threads in (1, 3):
            quernel("quantize", self.model, "-o", out, *job, "-b", "4", "-g", "32", "--sym", "--overwrite", "--threads", threads)
            stored.append((out / "model.safetensors").read_bytes())
        self.assertEqual(stored[0], stored[1])
        quernel("verify", out, "--against", self.model)
        self.assertIn(b"awq 4 bit, group 32, asymmetric", quernel("inspect", out)[0])
        refused = {"awq cannot hold codes of 3 bits": ["--bits", "3"], "nearest valid for this model: 32": ["--group-size", "64"], "F16": ["--scale-dtype", "bf16"],
                   "use static groups": ["--group-size", "32", "--act-order", "--static-groups", "false"],
                   "Hadamard": ["--group-size", "32", "--preprocess", "quarot", "--quarot-down", "true"]}
        for hint, options in refused.items():
            _, error = quernel("quantize", self.model, "-o", self.folder / "no_awq", *job, *options, expect=3)
            self.assertIn(hint, error)
        self.assertFalse((self.folder / "no_awq").exists())

    def test_scales_are_of_the_type_that_every_format_takes(self):
        def as_bfloat16(folder):
            config = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps({**config, "torch_dtype": "bfloat16"}))

        model = self.broken_model(as_bfloat16)
        for formats, dtype in (("compressed-tensors", "bf16"), ("compressed-tensors,awq", "f16"), ("gptq", "f16")):
            out = self.folder / f"scales_{formats}"
            quernel("quantize", model, "-o", out, *self.job(), "--method", "rtn", "--format", formats)
            self.assertEqual(json.loads((out / "quernel/report.json").read_text())["method"]["scale-dtype"], dtype)

    def test_preprocessing(self):
        for preprocess, method in (("smoothquant", "rtn"), ("awq", "gptq"), ("quarot", "gptq"), ("smoothquant+quarot", "rtn"), (None, "awq")):
            out = self.folder / f"prepared_{preprocess}_{method}"
            chosen = ["--preprocess", preprocess] if preprocess else []
            stdout, _ = quernel("quantize", self.model, "-o", out, *self.job(), "--method", method, *chosen, "--json")
            report = json.loads(stdout)
            self.assertEqual(report["method"]["preprocess"]["name"], preprocess or "awq")
            self.assertLess(report["checks"]["prepared"]["logits_max_abs"], 1e-3)
            self.assertEqual(report["source"]["path"], str(self.model))
            self.assertEqual(report["totals"]["bytes_in"], (self.model / "model.safetensors").stat().st_size)
            tied = json.loads((out / "config.json").read_text())["tie_word_embeddings"]
            self.assertEqual(tied, "quarot" not in (preprocess or ""))
            self.assertIn('base_model: "model"', (out / "README.md").read_text())
            stdout, _ = quernel("verify", out, "--against", self.model)
            self.assertIn(b"the files that the job was given", stdout)
        other = tiny_model.write(self.folder / "other_model", seed=9)
        _, error = quernel("verify", out, "--against", other, expect=5)
        self.assertIn("another source", error)

    def test_auto_keeps_the_least_divergence(self):
        out = self.folder / "auto"
        job = ["quantize", self.model, "-o", out, *self.job(), "--method", "auto"]
        stdout, _ = quernel(*job, "--json")
        compared = json.loads(stdout)["auto"]
        rows = {row["name"]: row for row in compared["candidates"]}
        self.assertEqual(set(rows), {"gptq", "awq+gptq", "quarot+gptq", "awq+awq", "mix"})
        judged = {name: row["kld"] for name, row in rows.items() if "kld" in row}
        self.assertEqual(judged[compared["winner"]], min(judged.values()))
        self.assertGreaterEqual(set(judged), {"gptq", "awq+gptq", "quarot+gptq", "awq+awq"})
        self.assertFalse(pathlib.Path(f"{out}.auto").exists())
        quernel("verify", out, "--against", self.model)
        self.assertEqual(json.loads((out / "quernel/report.json").read_text())["auto"], compared)
        before = (out / "quernel/report.json").read_bytes()
        quernel(*job, "--resume")
        self.assertEqual((out / "quernel/report.json").read_bytes(), before)
        # One candidate as a job of its own gives the same bytes.
        alone = self.folder / "auto_alone"
        winner = compared["winner"].split("+")
        self.assertNotEqual(winner, ["mix"], "another seed for this test, please")
        quernel("quantize", self.model, "-o", alone, *self.job(), "--method", winner[-1], "--preprocess", "+".join(winner[:-1]) or "none")
        self.assertEqual((alone / "model.safetensors").read_bytes(), (out / "model.safetensors").read_bytes())

    def test_auto_mixes_blocks(self):
        model = tiny_model.write(self.folder / "mixed_model", seed=3, layers=4)
        out = self.folder / "mixed"
        job = ["quantize", model, "-o", out, *self.job(), "--method", "auto", "--format", "gptq,compressed-tensors", "--keep-work-dir"]
        compared = json.loads(quernel(*job, "--json")[0])["auto"]
        rows = {row["name"]: row for row in compared["candidates"]}
        judged = {name: row["kld"] for name, row in rows.items() if "kld" in row}
        self.assertIn("mix", judged, rows["mix"])
        self.assertEqual(judged[compared["winner"]], min(judged.values()))

        def of(name, file):
            return out / file if name == compared["winner"] else pathlib.Path(f"{out}.auto") / name / file

        self.assertEqual([block["layer"] for block in compared["blocks"]], [0, 1, 2, 3])
        taken = [block["taken"] for block in compared["blocks"]]
        self.assertGreater(len(set(taken)), 1)
        for block in compared["blocks"]:
            self.assertEqual(set(block["errors"]), {"gptq", "awq+gptq", "awq+awq"})  # quarot's stream is another
            self.assertEqual(block["errors"][block["taken"]], min(block["errors"].values()))
        for part in ("gptq", "compressed-tensors"):
            file = f"{part}/model.safetensors"
            tensors = {name: tensors_of(of(name, file)) for name in {*taken, "mix"}}
            for name, tensor in tensors["mix"].items():
                block = taken[int(name.split(".")[2])] if ".layers." in name else taken[0]
                self.assertEqual(tensor, tensors[block][name], name)
            self.assertTrue(any(tensors["mix"][name] != tensors[taken[0]][name] for name in tensors["mix"]))
        report = json.loads(of("mix", "quernel/report.json").read_text())
        self.assertEqual(report["method"]["name"], "mix")
        self.assertEqual([row["candidate"] for row in report["layers"][::7]], taken)
        self.assertTrue(report["checks"]["reload"])
        self.assertEqual(report["checks"]["logits_max_abs"], 0)
        quernel("verify", of("mix", "."), "--against", model)
        self.a_kept_mix_is_not_made_again(of("mix", "."), compared, job)

    def a_kept_mix_is_not_made_again(self, mix, compared, job):
        """What an output looks like whose mix won: its candidates are gone."""
        kept = self.folder / "kept_mix"
        shutil.copytree(mix, kept)
        path, sums = kept / "quernel/report.json", kept / "quernel/SHA256SUMS"
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_text(json.dumps({**json.loads(path.read_text()), "auto": {**compared, "winner": "mix"}}))
        after = hashlib.sha256(path.read_bytes()).hexdigest()
        sums.write_text(sums.read_text().replace(before, after))
        job = [kept if argument == job[3] else argument for argument in job]
        self.assertTrue(json.loads(quernel(*job, "--resume", "--json")[0])["already_done"])
        self.assertFalse(pathlib.Path(f"{kept}.auto").exists())
        # Another job, or a damaged one, is not taken for it: the folder is in the way then.
        quernel(*job, "--resume", "--calib-seed", 43, expect=1)
        weights = kept / "gptq/model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
        quernel(*job, "--resume", expect=1)

    def test_auto_preprocessing_suits_the_bits_of_activations(self):
        out = self.folder / "auto_rounded"
        stdout, _ = quernel("quantize", self.model, "-o", out, *self.job(), "--preprocess", "auto", "--act-bits", "8", "--json")
        rows = json.loads(stdout)["auto"]["candidates"]
        self.assertEqual([row["name"] for row in rows], ["gptq", "smoothquant+gptq", "quarot+gptq", "smoothquant+quarot+gptq", "mix"])
        _, error = quernel("quantize", self.model, "-o", self.folder / "never", *self.job(), "--method", "auto", "--format", "nope", expect=None)
        self.assertIn("no method fits these bits and formats", error)

    def test_preprocessing_that_cannot_be(self):
        out = self.folder / "no_preprocessing"
        for chosen in (["--preprocess", "awq+quarot"], ["--preprocess", "quarott"], ["--method", "awq", "--preprocess", "quarot"]):
            _, error = quernel("quantize", self.model, "-o", out, *self.job(), *chosen, expect=3)
            self.assertIn("smoothquant", error)
        quernel("quantize", self.model, "-o", out, *self.job(), "--smooth-alpha", "2", expect=1)
        self.assertFalse(out.exists())

    def test_verify_finds_one_flipped_bit(self):
        damaged = self.folder / "damaged"
        shutil.copytree(self.out, damaged)
        path = damaged / "model.safetensors"
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 4
        path.write_bytes(raw)
        _, error = quernel("verify", damaged, expect=5)
        self.assertIn("model.safetensors", error)

    # The other commands.

    def test_inspect(self):
        stdout, _ = quernel("inspect", self.out, "--json")
        shown = json.loads(stdout)
        self.assertEqual(shown["quantization"]["bits"], 4)
        self.assertEqual(shown["config"]["layers"], 2)
        self.assertIn(b"LlamaForCausalLM", quernel("inspect", self.model)[0])

    def test_eval(self):
        stdout, _ = quernel("eval", "ppl", self.out, "--text", self.text, "--ctx", 64, "--windows", 3, "--json")
        shown = json.loads(stdout)
        self.assertGreater(shown["ppl"], 1)
        self.assertEqual(shown["tokens"], 3 * 63)
        cache = {"QUERNEL_CACHE": str(self.folder / "cache")}
        arguments = ["eval", "kld", self.out, "--ref", self.model, "--text", self.text, "--ctx", 64, "--windows", 3, "--json"]
        first = json.loads(quernel(*arguments, env=cache)[0])
        second = json.loads(quernel(*arguments, env=cache)[0])
        self.assertGreater(first["kld"]["mean"], 0)
        self.assertEqual(first["kld"], second["kld"])
        self.assertTrue(second["cache"]["used"])
        itself = json.loads(quernel("eval", "kld", self.model, "--ref", self.model, "--text", self.text, "--ctx", 64, "--windows", 2,
                                    "--json", "--no-cache")[0])
        self.assertEqual(itself["kld"]["max"], 0)
        self.assertEqual(itself["top1"], 1)
        quernel(*arguments, "--max-kld", "1e-9", env=cache, expect=5)

    def task_files(self):
        """One file of each kind: --task options, and the items in each."""
        lines = {
            "piqa": [dict(goal="dry", sol1="sun", sol2="rain"), dict(goal="wet", sol1="stone", sol2="river")],
            "arc": [dict(question="Which?", choices=["one", "two", "three"], gold=1),
                    dict(question="Who?", choices=dict(text=["she", "he"], label=["A", "B"]), answerKey="B")],
            "winogrande": [dict(sentence="Ann saw Eve, so _ left.", option1="Ann", option2="Eve", answer="1")] * 2,
            "lambada": [dict(text="the stone holds the door"), dict(text="a river asks")],
            "choices": [dict(context="수도는", choices=["서울", "부산"], gold=0), dict(context="c", choices=["d", "e"], gold=1)],
        }
        options = []
        for kind, records in lines.items():
            path = self.folder / f"{kind}.jsonl"
            path.write_text("".join(json.dumps(record) + "\n" for record in records))
            options += ["--task", f"{kind}={path}"]
        (self.folder / "piqa-labels.lst").write_text("0\n1\n")
        path = self.folder / "hellaswag.txt"
        path.write_text("Baking: a man. he\n0\nstirs\nruns\nfalls\nsings\n" * 2)
        return [*options, "--task", f"hellaswag={path}"], [*lines, "hellaswag"]

    def test_tasks(self):
        options, kinds = self.task_files()
        shown = json.loads(quernel("eval", "tasks", *options, self.model, "--json")[0])
        self.assertEqual(list(shown["tasks"]), kinds)
        for kind, task in shown["tasks"].items():
            self.assertEqual(task["n"], 2)
            self.assertIn(task["acc"], (0, 0.5, 1))
            self.assertGreater(task["gold_nll"], 0)
            self.assertEqual("acc_norm" in task, kind != "lambada")
            self.assertEqual("ppl" in task, kind == "lambada")
        self.assertAlmostEqual(shown["average"], sum(task["acc"] for task in shown["tasks"].values()) / len(kinds))
        self.assertEqual(shown["average_of"], "acc")
        self.assertEqual(shown["simulated"]["activation_bits"], 16)
        for more in (["--threads", 1], ["--threads", 3]):
            again = json.loads(quernel("eval", "tasks", self.model, *options, *more, "--json")[0])
            for kind in kinds:
                self.assertEqual(again["tasks"][kind]["gold_nll"], shown["tasks"][kind]["gold_nll"])
        first = json.loads(quernel("eval", "tasks", self.model, *options, "--limit", 1, "--act-bits", 8, "--json")[0])
        self.assertEqual({task["n"] for task in first["tasks"].values()}, {1})
        self.assertEqual(first["simulated"]["activation_bits"], 8)
        text, error = quernel("eval", "tasks", self.out, *options)
        for kind in kinds:
            self.assertIn(kind.encode(), text)
            self.assertIn(f"eval {kind} 2/2", error)

    def test_tasks_of_one_kind(self):
        self.task_files()
        path = self.folder / "choices.jsonl"
        other = self.folder / "other.jsonl"
        shutil.copy(path, other)
        shown = json.loads(quernel("eval", "tasks", self.model, "--task", f"choices={path}", "--task", f"choices={other}", "--json")[0])
        self.assertEqual(list(shown["tasks"]), ["choices:choices", "choices:other"])
        quernel("eval", "tasks", self.model, "--task", f"choices={path}", "--task", f"choices={path}", expect=2)

    def test_tasks_that_cannot_be(self):
        options, _ = self.task_files()
        run = ["eval", "tasks", self.model, "--task"]
        for word, code, said in ((f"mmlu={self.text}", 2, "winogrande"), ("piqa", 2, "KIND=FILE"),
                                 (f"lambada={self.folder}/none.jsonl", 3, "none.jsonl"), (f"lambada={self.text}", 3, "line 1"),
                                 (f"hellaswag={self.text}", 3, "gold")):
            self.assertIn(said, quernel(*run, word, expect=code)[1])
        quernel(*run[:3], expect=2)
        quernel(*run[:3], *options, "--limit", -1, expect=2)
        (self.folder / "piqa-labels.lst").unlink()
        self.assertIn("piqa-labels.lst", quernel(*run, options[1], expect=3)[1])
        packed = self.folder / "packed.txt"
        packed.write_bytes(b"BZh91AY&SY" + bytes(20))
        self.assertIn("bunzip2", quernel(*run, f"hellaswag={packed}", expect=3)[1])

    def test_simulated_low_bits(self):
        settings = {"activation_bits": 8, "activation_group": 32, "activation_asymmetric": True, "kv_bits": 4}
        options = ["--act-bits", 8, "--act-group", 32, "--act-asym", "--kv-bits", 4]
        ppl = ["eval", "ppl", self.model, "--text", self.text, "--ctx", 64, "--windows", 3, "--json"]
        shown = json.loads(quernel(*ppl, *options)[0])
        self.assertEqual(shown["simulated"], settings)
        plain = json.loads(quernel(*ppl)[0])
        self.assertEqual(plain["simulated"]["activation_bits"], 16)
        self.assertNotEqual(shown["ppl"], plain["ppl"])
        # The reference of a divergence stays as it is: a model against itself differs by the rounding alone.
        kld = ["eval", "kld", self.model, "--ref", self.model, "--text", self.text, "--ctx", 64, "--windows", 2, "--json", "--no-cache"]
        self.assertGreater(json.loads(quernel(*kld, *options)[0])["kld"]["mean"], 0)
        self.assertIn("tokens", json.loads(quernel("run", self.model, "-p", "seven", "-n", 4, "--json", "--act-bits", 16, "--kv-bits", 4)[0]))
        _, error = quernel(*ppl, "--act-bits", 5, expect=2)
        self.assertIn("act-bits", error)
        _, error = quernel(*ppl, "--act-bits", 8, "--act-group", 0, expect=3)
        self.assertIn("--act-group", error)

    def test_eval_of_the_integer_runtime(self):
        ppl = ["eval", "ppl", self.model, "--text", self.text, "--ctx", 64, "--windows", 3, "--json"]
        plain = json.loads(quernel(*ppl)[0])
        integer = [*ppl, "--precision", "int8"]
        wide = json.loads(quernel(*integer, "--act-bits", 16, "--kv-bits", 16, "--threads", 1)[0])
        self.assertEqual(wide["integer"], {"activation_bits": 16, "kv_bits": 16})
        self.assertNotIn("simulated", wide)
        self.assertNotIn("integer", plain)
        self.assertNotEqual(wide["ppl"], plain["ppl"])
        self.assertAlmostEqual(wide["nll"], plain["nll"], delta=0.01)
        self.assertEqual(json.loads(quernel(*integer, "--act-bits", 16, "--kv-bits", 16, "--threads", 3)[0])["ppl"], wide["ppl"])
        # The runtime's own defaults: no weights here are made for 8-bit activations.
        self.assertEqual(json.loads(quernel(*integer)[0])["integer"], {"activation_bits": 16, "kv_bits": 8})
        narrow = json.loads(quernel(*integer, "--act-bits", 8, "--kv-bits", 4)[0])
        self.assertEqual(narrow["integer"], {"activation_bits": 8, "kv_bits": 4})
        self.assertNotEqual(narrow["ppl"], wide["ppl"])
        # Logits of a reference that were recorded for the float runtime serve the integer one.
        cache = {"QUERNEL_CACHE": str(self.folder / "cache-int8")}
        kld = ["eval", "kld", self.model, "--ref", self.model, "--text", self.text, "--ctx", 64, "--windows", 2, "--json"]
        quernel(*kld, env=cache)
        shown = json.loads(quernel(*kld, "--precision", "int8", env=cache)[0])
        self.assertTrue(shown["cache"]["used"])
        self.assertGreater(shown["kld"]["mean"], 0)
        self.assertLess(shown["kld"]["mean"], 0.01)
        for options, said in ((["--act-bits", "auto"], "auto"), (["--precision", "int8", "--act-group", 32], "--act-group"),
                              (["--precision", "int4"], "int8")):
            self.assertIn(said, quernel(*ppl, *options, expect=2)[1])
        self.assertIn("--act-bits", quernel(*integer, "--act-bits", 4, expect=3)[1])

    def test_tasks_of_the_integer_runtime(self):
        options, kinds = self.task_files()
        plain = json.loads(quernel("eval", "tasks", *options, self.model, "--json")[0])
        shown = json.loads(quernel("eval", "tasks", *options, self.model, "--json", "--precision", "int8")[0])
        self.assertEqual(shown["integer"]["kv_bits"], 8)
        for kind in kinds:
            self.assertNotEqual(shown["tasks"][kind]["gold_nll"], plain["tasks"][kind]["gold_nll"])
            self.assertLess(abs(shown["tasks"][kind]["gold_nll"] / plain["tasks"][kind]["gold_nll"] - 1), 0.02)

    def test_native_checkpoint(self):
        out = self.folder / "native"
        report = json.loads(quernel("quantize", self.model, "-o", out, *self.job(), "--method", "qoq", "--act-bits", 8, "--kv-bits", 4,
                                    "--json")[0])
        self.assertEqual(report["method"]["formats"], ["quernel"])
        self.assertEqual(report["method"]["simulated_while_calibrating"], "a8 kv4")
        config = json.loads((out / "config.json").read_text())["quantization_config"]
        self.assertEqual((config["quant_method"], config["version"]), ("quernel", 1))
        quernel("verify", out, "--against", self.model)
        self.assertEqual(json.loads(quernel("inspect", out, "--json")[0])["quantization"]["method"], "qoq")
        self.assertGreater(json.loads(quernel("eval", "ppl", out, "--text", self.text, "--ctx", 64, "--windows", 2, "--json",
                                              "--act-bits", 8, "--kv-bits", 4)[0])["ppl"], 1)
        quernel("run", out, "-p", "seven", "-n", 2)
        _, error = quernel("quantize", self.model, "-o", self.folder / "no", *self.job(), "--method", "qoq", "--format", "gptq", expect=3)
        self.assertIn("quernel", error)

    def test_super_weights(self):
        model = tiny_model.write(self.folder / "super_model", super_weight=True)
        at = "model.layers.0.mlp.down_proj"
        # A target that follows the stream would make the next layer chase what the first one loses without a list.
        job = ["quantize", model, *self.job(), "--method", "qoq", "--target", "weight"]
        losses, stored = {}, []
        for mode, threads in (("off", 1), ("auto", 1), ("auto", 3)):
            out = self.folder / f"super_{mode}"
            report = json.loads(quernel(*job, "-o", out, "--overwrite", "--super-weights", mode, "--threads", threads, "--json")[0])
            self.assertEqual(report["method"]["super-weights"], mode)
            config = json.loads((out / "config.json").read_text())["quantization_config"]
            self.assertEqual(config["version"], 1 if mode == "off" else 2)
            tensors = tensors_of(out / "model.safetensors")
            self.assertEqual(sorted(name for name in tensors if "outlier" in name),
                             [] if mode == "off" else [f"{at}.outlier_index", f"{at}.outlier_values"])
            quernel("verify", out, "--against", model)
            losses[mode] = json.loads(quernel("eval", "kld", out, "--ref", model, "--text", self.text, "--ctx", 64, "--windows", 2,
                                              "--json")[0])["kld"]["mean"]
            stored.append((out / "model.safetensors").read_bytes())
        self.assertEqual(stored[1], stored[2])
        dtype, shape, raw = tensors[f"{at}.outlier_index"]
        self.assertEqual((dtype, shape), ("I32", [1, 2]))
        self.assertEqual(struct.unpack("<2i", raw), (tiny_model.SUPER_ROW, tiny_model.SUPER_COLUMN))
        dtype, shape, raw = tensors[f"{at}.outlier_values"]
        self.assertEqual((dtype, shape), ("F32", [1]))
        self.assertAlmostEqual(struct.unpack("<f", raw)[0], tiny_model.SUPER_WEIGHT, delta=0.5)
        self.assertLess(losses["auto"], losses["off"])
        quernel("run", out, "-p", "seven", "-n", 2)
        refused = {"place for single weights": (3, "gptq", "auto", "none"), "rotation": (3, "qoq", "auto", "quarot"),
                   "off or auto": (1, "qoq", "on", "none")}
        for hint, (code, method, mode, preprocess) in refused.items():
            _, error = quernel("quantize", model, *self.job(), "-o", self.folder / "no_super", "--method", method, "--super-weights", mode,
                               "--preprocess", preprocess, expect=code)
            self.assertIn(hint, error)
        self.assertFalse((self.folder / "no_super").exists())

    def test_tokenize_both_ways(self):
        text = "naïve café, 안녕하세요\n".encode()
        ids, _ = quernel("tokenize", self.model, stdin=text)
        self.assertEqual(len(ids.split()), len(text))
        self.assertEqual(quernel("tokenize", self.model / "tokenizer.json", "--decode", stdin=ids)[0], text)
        quernel("tokenize", self.model, "--decode", stdin=b"12 x", expect=1)

    def test_run_is_repeatable(self):
        sampled = ["run", self.out, "-p", "seven", "-n", 12, "--temp", 1, "--seed", 5, "--json"]
        self.assertEqual(json.loads(quernel(*sampled)[0])["text"], json.loads(quernel(*sampled)[0])["text"])
        greedy = json.loads(quernel("run", self.out, "-p", "seven", "-n", 12, "--greedy", "--json")[0])
        again = json.loads(quernel("run", self.out, "-p", "seven", "-n", 12, "--greedy", "--json", "--threads", 3)[0])
        self.assertEqual(greedy["tokens"], again["tokens"])

    def test_run_options(self):
        def run(*options, precision="int8"):
            return json.loads(quernel("run", self.out, "-p", "seven", "-n", 30, "--json", "--precision", precision, *options)[0])
        plain = run()
        self.assertEqual((plain["draft_tokens"], plain["stop"]), (0, "max_tokens"))
        fast = run("--speculate", 8)
        self.assertEqual(fast["tokens"], plain["tokens"])
        self.assertLessEqual(fast["draft_tokens_accepted"], fast["draft_tokens"])
        # Nothing but one letter: guessed without fail.
        only = ["--logit-bias", "97=1000"]
        guessed = run(*only, "--speculate", 8)
        self.assertEqual(guessed["text"], "a" * 30)
        self.assertGreater(guessed["draft_tokens_accepted"], 15)
        for precision in ("int8", "f32"):
            # One letter more often than the other: penalties and stops show.
            letters = ["--logit-bias", "97=1000", "--logit-bias=98=990", "--logit-bias", "99=980"]
            self.assertEqual(set(run(*letters, precision=precision)["text"]), {"a"})
            for option in (["--presence-penalty", 15], ["--frequency-penalty", 9], ["--dry-multiplier", 50],
                           ["--dry-multiplier", 50, "--dry-base", 1.2, "--dry-allowed-length", 4]):
                self.assertIn("b", run(*letters, *option, precision=precision)["text"], option)
            free = run(*letters, "--dry-multiplier", 50, "--dry-allowed-length", 10, precision=precision)["text"]
            self.assertTrue(free.startswith("a" * 11), free)
            self.assertIn("b", free)
            stopped = run(*letters, "--frequency-penalty", 9, "--stop", "no such", "--stop", "b", precision=precision)
            self.assertEqual((set(stopped["text"]), stopped["stop"]), ({"a"}, "stop_text"))
            self.assertNotIn("a", run(*letters, "--logit-bias", "97=-inf", precision=precision)["text"])
        for word in ("97", "97=", "x=1", "97=nan", "97=inf", "-1=2", "97=1x"):
            self.assertIn("ID=VALUE", quernel("run", self.out, "-p", "s", "--logit-bias=" + word, expect=2)[1])
        quernel("run", self.out, "-p", "s", "--logit-bias", "9999=1", expect=1)
        quernel("run", self.out, "-p", "s", "--stop", "", expect=1)
        quernel("run", self.out, "-p", "s", "--dry-base", 0.5, expect=1)
        quernel("run", self.out, "-p", "s", "--speculate", 65, expect=2)
        quernel("run", self.out, "-p", "s", "--speculate", 2, "--precision", "f32", expect=1)
        quernel("run", self.out, "-p", "s", "--context-shift", "--precision", "f32", expect=1)
        quernel("run", self.out, "-p", "s", "-n", 600, expect=3)
        shifted = json.loads(quernel("run", self.out, "-p", "seven", "-n", 600, "--json", "--context-shift")[0])
        self.assertEqual((len(shifted["tokens"]), shifted["dropped_tokens"]), (600, 96))
        # The whole cache could never hold it.
        self.assertIn("--kv-budget", quernel("run", self.out, "-p", "s", "-n", 400, "--kv-budget", "64K", expect=3)[1])

    def test_methods_and_version(self):
        names = [method["name"] for method in json.loads(quernel("methods", "--json")[0])["methods"]]
        self.assertEqual(sorted(names), ["awq", "gptq", "hqq", "qoq", "rtn"])
        self.assertIn("version", json.loads(quernel("version", "--json")[0]))
        self.assertIn(b"--group-size", quernel("methods")[0])

    def test_completion_scripts_are_sound(self):
        script, _ = quernel("completion", "bash")
        subprocess.run(["bash", "-n"], input=script, check=True)
        self.assertIn(b"--calib-samples", script)
        self.assertIn(b"complete -c quernel", quernel("completion", "fish")[0])

    def test_bench_as_table_csv_and_json(self):
        what = ["bench", self.out, "-p", "8", "-n", "4", "-b", "1,2", "-r", "2", "--packed", "off"]
        table = quernel(*what)[0].decode()
        for name in ("pp8", "tg4", "tg4 x 2"):
            self.assertIn(f"\n{name} ", table)
        rows = list(csv.DictReader(quernel(*what, "--csv")[0].decode().splitlines()))
        self.assertEqual([row["test"] for row in rows], ["pp8", "tg4", "tg4 x 2"])
        report = json.loads(quernel(*what, "--json", "--profile")[0])
        self.assertEqual([row["test"] for row in report["rows"]], ["pp8", "tg4", "tg4 x 2"])
        for row, entry in zip(rows, report["rows"]):
            self.assertGreater(float(row["tokens_per_second"]), 0)
            self.assertLessEqual(float(row["min"]), float(row["max"]))
            self.assertEqual(len(entry["seconds"]), 2)
            self.assertGreater(sum(entry["phases"].values()), 0)
        self.assertEqual(sorted(p.name for p in self.out.iterdir() if p.suffix == ".packed"), [])

    def test_help_names_every_command(self):
        text = quernel("--help")[0].decode()
        for name in ("quantize", "eval", "inspect", "verify", "tokenize", "run", "methods", "version"):
            self.assertIn(name, text)

    # Usage.

    def test_mistyped_words_are_guessed(self):
        self.assertIn("quantize", quernel("quantise", expect=2)[1])
        self.assertIn("--bits", quernel("quantize", self.model, "-o", "x", "--bist", "4", expect=2)[1])
        self.assertIn("gptq", quernel("quantize", self.model, "-o", self.folder / "x", "--method", "gtpq", expect=3)[1])

    def test_snake_case_and_environment(self):
        out = self.folder / "snake"
        quernel("quantize", self.model, "-o", out, "--group_size=32", "--method", "rtn", env={"QUERNEL_BITS": "8"})
        self.assertEqual(json.loads((out / "quernel/report.json").read_text())["method"]["bits"], "8")

    def test_impossible_options_are_refused_before_work(self):
        for more in (["--bits", "5"], ["--group-size", "0"], ["--damp", "-1"], ["--format", "onnx"]):
            quernel("quantize", self.model, "-o", self.folder / "never", "--calib", self.text, *more, expect=None)
            self.assertFalse((self.folder / "never").exists(), more)
        quernel("version", env={"QUERNEL_ISA": "sse9"}, expect=3)

    # Bad input.

    def test_missing_and_foreign_folders(self):
        quernel("inspect", self.folder / "nothing", expect=3)
        foreign = self.folder / "foreign"
        foreign.mkdir()
        (foreign / "photo.jpg").write_text("x")
        quernel("quantize", self.model, "-o", foreign, *self.job(), expect=1)
        self.assertEqual(os.listdir(foreign), ["photo.jpg"])
        quernel("quantize", self.model, "-o", self.out, *self.job(), expect=None)
        quernel("verify", self.out)

    def test_nonfinite_weights_are_named(self):
        def change(folder):
            path = folder / "model.safetensors"
            raw = bytearray(path.read_bytes())
            header = json.loads(raw[8:8 + int.from_bytes(raw[:8], "little")])
            begin = header["model.layers.1.mlp.up_proj.weight"]["data_offsets"][0] + 8 + int.from_bytes(raw[:8], "little")
            raw[begin:begin + 4] = b"\x00\x00\xc0\x7f"
            path.write_bytes(raw)
        _, error = quernel("quantize", self.broken_model(change), "-o", self.folder / "nan_out", *self.job(), expect=3)
        self.assertIn("model.layers.1.mlp.up_proj.weight", error)
        self.assertFalse((self.folder / "nan_out" / "config.json").exists())

    def test_unknown_architecture_lists_the_known(self):
        def change(folder):
            settings = json.loads((folder / "config.json").read_text())
            settings["architectures"], settings["model_type"] = ["MambaForCausalLM"], "mamba"
            (folder / "config.json").write_text(json.dumps(settings))
        _, error = quernel("inspect", self.broken_model(change), expect=3)
        self.assertIn("MambaForCausalLM", error)
        self.assertIn("LlamaForCausalLM", error)

    def test_truncated_config_at_every_byte(self):
        whole = (self.model / "config.json").read_bytes()
        folder = self.broken_model(lambda folder: None)
        for length in range(len(whole)):
            (folder / "config.json").write_bytes(whole[:length])
            _, error = quernel("inspect", folder, expect=3)
            self.assertIn("config.json", error)

    def test_calibration_text(self):
        bad = self.folder / "bad.txt"
        job = ["quantize", self.model, "-o", self.folder / "c", "--calib", bad, "--calib-samples", "4", "--calib-seqlen", "64"]
        for content in (b"", b"too short", b"broken \xff utf-8" * 500):
            bad.write_bytes(content)
            _, error = quernel(*job, expect=1)
            self.assertRegex(error, "bad.txt|tokens")
        quernel(*job[:4], "--calib", self.folder / "none.txt", expect=3)

    def test_memory_ceiling_is_refused_up_front(self):
        _, error = quernel("quantize", self.model, "-o", self.folder / "m", *self.job(), "--max-memory", "4K", expect=4)
        self.assertIn("--max-memory", error)
        self.assertFalse((self.folder / "m").exists())

    def test_weight_map_cannot_leave_the_folder(self):
        def change(folder):
            secret = folder.parent / "secret.safetensors"
            shutil.move(folder / "model.safetensors", secret)
            names = {name: "../secret.safetensors" for name, _ in tiny_model.shapes()}
            (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
        quernel("inspect", self.broken_model(change), expect=3)

    def test_a_full_disk_is_a_clear_error_and_resumable(self):
        out = self.folder / "full"
        limited = ["bash", "-c", "ulimit -f 40; exec \"$@\"", "bash", PROGRAM, "quantize", self.model, "-o", out, *self.job()]
        done = subprocess.run(list(map(str, limited)), capture_output=True, text=True)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertFalse((out / "model.safetensors").exists())
        quernel("quantize", self.model, "-o", out, *self.job(), "--resume")
        quernel("verify", out, "--against", self.model)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
