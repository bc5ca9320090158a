"""Measures Quernel on the off-grid twin of SmolLM2 and writes the figures to bench/results. Called by scripts/bench.

Accuracy rows: RTN, plain GPTQ (the settings of the published references) and the defaults, each judged on WikiText-2 test (a24: 24
windows of 2048) and by divergence from the source on web text that calibration never saw. Calibration: 128 x 512 tokens of the first
900,000 bytes of exl3_c4. Speed rows are measured in turn with PyTorch and llm-compressor in the same run. Standard library only.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import time

CALIBRATION_BYTES = 900_000  # of exl3_c4; what lies behind is for judging
HELD_OUT_BYTE = 1_000_000
SAME_AS_PEER = ["--damp", "0.01", "--refine-rounds", "0", "--target", "weight"]  # what GPTQ of others does, but for the search of scales
PLAIN = ["--search", "minmax", "--order", "act-order", *SAME_AS_PEER]
A8 = ["--act-bits", "8"]
A8KV4 = [*A8, "--kv-bits", "4"]
A4 = ["--act-bits", "4", "--act-group", "64"]
ROTATED = ["--preprocess", "smoothquant+quarot", "--quarot-qk", "true", "--quarot-down", "true"]
W8 = ["--bits", "8", "--group-size", "-1", "--symmetry", "sym"]
ROWS = [  # name, arguments, the published plain reference on (a24) where there is one; then low bits to judge with as well
    ("RTN W4 g32", ["--method", "rtn", "--bits", "4", "--group-size", "32", "--search", "minmax"], 26.37),
    ("RTN W4 g64", ["--method", "rtn", "--bits", "4", "--group-size", "64", "--search", "minmax"], 28.63),
    ("RTN W4 g128", ["--method", "rtn", "--bits", "4", "--group-size", "128", "--search", "minmax"], 30.75),
    ("RTN W3 g64", ["--method", "rtn", "--bits", "3", "--group-size", "64", "--search", "minmax"], 79.4),
    ("RTN W8 g64", ["--method", "rtn", "--bits", "8", "--group-size", "64", "--search", "minmax"], 21.23),
    ("GPTQ plain W4 g64", ["--bits", "4", "--group-size", "64", *PLAIN], 25.81),
    ("GPTQ plain W4 g128", ["--bits", "4", "--group-size", "128", *PLAIN], 26.85),
    ("GPTQ plain W3 g64", ["--bits", "3", "--group-size", "64", *PLAIN], 48.4),
    ("GPTQ search W4 g64", ["--bits", "4", "--group-size", "64", *SAME_AS_PEER], None),
    ("GPTQ search refine W4 g64", ["--bits", "4", "--group-size", "64", "--target", "weight"], None),
    ("GPTQ default W4 g64", ["--bits", "4", "--group-size", "64"], None),
    ("GPTQ default W4 g32", ["--bits", "4", "--group-size", "32"], None),
    ("AWQ W4 g64", ["--method", "awq", "--bits", "4", "--group-size", "64"], None),
    ("GPTQ default W4 g128", ["--bits", "4", "--group-size", "128"], None),
    ("GPTQ default W3 g64", ["--bits", "3", "--group-size", "64"], None),
    ("QoQ W4 g64", ["--method", "qoq", "--bits", "4", "--group-size", "64"], None),
    ("HQQ W4 g64", ["--method", "hqq", "--bits", "4", "--group-size", "64"], None),
    ("GPTQ quarot W4 g64", ["--preprocess", "quarot", "--bits", "4", "--group-size", "64"], None),
    ("RTN quarot W4 g64", ["--method", "rtn", "--preprocess", "quarot", "--bits", "4", "--group-size", "64"], None),
    ("GPTQ awq W4 g64", ["--preprocess", "awq", "--bits", "4", "--group-size", "64"], None),
    ("GPTQ default W4 g64 sym", ["--bits", "4", "--group-size", "64", "--symmetry", "sym"], None),
    ("GPTQ plain W4 g32", ["--bits", "4", "--group-size", "32", *PLAIN], None),
    ("GPTQ default W4 g64 seed 1", ["--bits", "4", "--group-size", "64", "--seed", "1"], None),
    ("GPTQ default W4 g64 seed 2", ["--bits", "4", "--group-size", "64", "--seed", "2"], None),
    ("QoQ rotated W4 g64", ["--method", "qoq", "--group-size", "64", *ROTATED], None, A8KV4),
    ("QoQ rotated W4 g64 seed 1", ["--method", "qoq", "--group-size", "64", *ROTATED, "--seed", "1"], None, A8KV4),
    ("QoQ rotated W4 g64 seed 2", ["--method", "qoq", "--group-size", "64", *ROTATED, "--seed", "2"], None, A8KV4),
    ("QoQ rotated W4 g64 low bits in the loop", ["--method", "qoq", "--group-size", "64", *ROTATED, *A8KV4], None, A8KV4),
    ("W8A8", [*W8, "--preprocess", "none"], None, A8),
    ("W8A8 smoothquant quarot", [*W8, "--preprocess", "smoothquant+quarot"], None, A8),
    ("W4A4 g64", ["--bits", "4", "--group-size", "64", "--preprocess", "none"], None, A4),
    ("W4A4 g64 quarot", ["--bits", "4", "--group-size", "64", "--preprocess", "quarot"], None, A4),
    *[(f"W8A8 smoothquant quarot seed {n}", [*W8, "--preprocess", "smoothquant+quarot", "--seed", n], None, A8) for n in "12"],
    *[(f"W4A4 g64 quarot seed {n}", ["--bits", "4", "--group-size", "64", "--preprocess", "quarot", "--seed", n], None, A4)
      for n in "12"],
    ("QoQ W4 g64 reorder", ["--method", "qoq", "--group-size", "64", "--preprocess", "reorder"], None, A8KV4),
]


class Bench:
    def __init__(self, arguments):
        self.a = arguments
        self.twin = arguments.models / "twin"
        self.calibration = arguments.work / "c4_first.utf8"
        self.calibration.write_bytes((arguments.shared / "text/exl3_c4.utf8").read_bytes()[:CALIBRATION_BYTES])
        self.sampling = ["--calib", self.calibration, "--calib-samples", 128, "--calib-seqlen", 512]
        self.wiki = arguments.shared / "text/wiki.test.raw"
        self.c4 = arguments.shared / "text/exl3_c4.utf8"

    def run(self, *words):
        """Output of the command, seconds, and the largest memory of any child so far."""
        start = time.monotonic()
        done = subprocess.run([str(w) for w in words], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout, time.monotonic() - start

    def quernel(self, *words):
        out, seconds = self.run(self.a.quernel, *words, "--json", "--progress", "none")
        return json.loads(out), seconds

    def perplexity(self, model, *more):
        return self.quernel("eval", "ppl", model, "--text", self.wiki, *more)

    def judge(self, out, low_bits=()):
        ppl, _ = self.perplexity(out, "--ctx", 2048, "--windows", 24, *low_bits)
        kld, _ = self.quernel("eval", "kld", out, "--ref", self.twin, "--text", self.c4, "--from-byte", HELD_OUT_BYTE, "--ctx", 1024,
                              "--windows", 12, *low_bits)
        return {"ppl": ppl["ppl"], "stderr": ppl["stderr"], "kld_c4": kld["kld"]["mean"], "kld_c4_p99": kld["kld"]["p99"],
                "top1_c4": kld["top1"]}

    def accuracy(self, name, options, reference, low_bits=()):
        out = self.a.work / "out"
        # The references symmetric or not: asymmetric, integer zero, unless a row says otherwise.
        symmetry = [] if "--symmetry" in options else ["--symmetry", "asym"]
        # Width 576 leaves a tail of 64 behind groups of 128, which compressed-tensors cannot say.
        form = "quernel" if "qoq" in options else "gptq" if "128" in options else "compressed-tensors"
        report, seconds = self.quernel("quantize", self.twin, "-o", out, "--overwrite", *options, *symmetry, *self.sampling,
                                       "--format", form)
        row = {"name": name, **self.judge(out), "reference": reference, "bits_per_weight": report["totals"]["bpw_effective"],
               "seconds": None if self.a.busy else seconds, "peak_rss": report["totals"]["peak_rss"]}
        if low_bits:
            row["low_bits"] = {"options": " ".join(low_bits), **self.judge(out, low_bits)}
        against = f"  reference {reference} ({100 * (row['ppl'] / reference - 1):+.2f} %)" if reference else ""
        row["commit"] = self.commit
        print(f"{name:26} ppl {row['ppl']:8.4f}  kld c4 {row['kld_c4']:.4f}  top-1 {100 * row['top1_c4']:.1f} %  {seconds:5.1f} s"
              f"  {row['peak_rss'] / 1e6:.0f} MB{against}", flush=True)
        if low_bits:
            low = row["low_bits"]
            print(f"{'':26} ppl {low['ppl']:8.4f}  kld c4 {low['kld_c4']:.4f}  top-1 {100 * low['top1_c4']:.1f} %  with {low['options']}"
                  f" ({100 * (low['ppl'] / row['ppl'] - 1):+.2f} %)", flush=True)
        return row

    def accuracies(self, rows, known, write):
        """Each row takes the place of an older one of its name as soon as it is measured."""
        for row in rows:
            measured = self.accuracy(*row)
            known[:] = [old for old in known if old["name"] != measured["name"]] + [measured]
            write()
        return known

    def source(self):
        shown = {}
        for name, more in (("a24", ["--ctx", 2048, "--windows", 24]), ("b40", ["--convention", "llama.cpp", "--windows", 40])):
            result, seconds = self.perplexity(self.twin, *more)
            shown[name] = {"ppl": result["ppl"], "tokens": result["tokens"], "seconds": seconds}
        for name, row in shown.items():
            print(f"source ({name:3})               ppl {row['ppl']:8.4f}  {row['tokens']} tokens  {row['seconds']:.1f} s", flush=True)
        return shown

    def against_torch(self):
        """The first windows of (a) by PyTorch and by us, in turn, so that a drift of the machine meets both."""
        windows, pairs = 8, []
        for _ in range(1 if self.a.quick else 3):
            ours, _ = self.perplexity(self.twin, "--ctx", 2048, "--windows", windows)
            bf16, _ = self.perplexity(self.twin, "--ctx", 2048, "--windows", windows, "--precision", "bf16")
            out, _ = self.run(self.a.peers, "tests/peers/perplexity_reference.py", self.twin, "--text", self.wiki, "--windows", windows)
            torch = json.loads(out.splitlines()[-1])
            pairs.append({"ours_seconds": ours["seconds"], "ours_bf16_seconds": bf16["seconds"], "torch_seconds": torch["seconds"],
                          "ours_ppl": ours["ppl"], "ours_bf16_ppl": bf16["ppl"], "torch_ppl": torch["ppl"]})
        ratios = sorted(pair["torch_seconds"] / pair["ours_seconds"] for pair in pairs)
        bf16_ratios = sorted(pair["torch_seconds"] / pair["ours_bf16_seconds"] for pair in pairs)
        print(f"perplexity, {windows} windows: PyTorch fp32 takes {ratios[len(ratios) // 2]:.2f} x our fp32 time, "
              f"{bf16_ratios[len(ratios) // 2]:.2f} x our bf16 time; ppl {pairs[0]['torch_ppl']:.4f} / {pairs[0]['ours_ppl']:.4f} / "
              f"{pairs[0]['ours_bf16_ppl']:.4f}", flush=True)
        return pairs

    def against_llmcompressor(self):
        """The same job (W4 asymmetric g64, 128 x 512 tokens), in turn: wall seconds of the whole command, peak memory of it."""
        pairs = []
        for _ in range(1 if self.a.quick else 2):
            job = ["quantize", self.twin, "-o", self.a.work / "out", "--overwrite", "--bits", 4, "--group-size", 64, "--asym", *self.sampling,
                   "--format", "compressed-tensors", "--threads", 2]
            default_report, default = self.quernel(*job)
            report, ours = self.quernel(*job, *SAME_AS_PEER)
            out, theirs = self.run(self.a.llmcompressor, "bench/peers/llmcompressor_gptq.py", self.twin, self.a.work / "peer_out",
                                   self.calibration, 128, 512, 2)
            peer = json.loads(out.splitlines()[-1])
            pairs.append({"ours_seconds": ours, "ours_peak_rss": report["totals"]["peak_rss"], "default_seconds": default,
                          "default_peak_rss": default_report["totals"]["peak_rss"], "peer_seconds": theirs,
                          "peer_seconds_without_imports": peer["seconds"], "peer_peak_rss": peer["peak_rss"]})
            pairs[-1]["peer_ppl"] = self.perplexity(self.a.work / "peer_out", "--ctx", 2048, "--windows", 24)[0]["ppl"]
            pairs[-1]["ours_ppl"] = self.perplexity(self.a.work / "out", "--ctx", 2048, "--windows", 24)[0]["ppl"]
            row = pairs[-1]
            print(f"GPTQ W4 g64 job: llm-compressor {theirs:.0f} s, {row['peer_peak_rss'] / 1e6:.0f} MB, ppl {row['peer_ppl']:.3f}; ours "
                  f"{ours:.0f} s, {row['ours_peak_rss'] / 1e6:.0f} MB, ppl {row['ours_ppl']:.3f}: ratio {theirs / ours:.2f}; our default "
                  f"{default:.0f} s, {row['default_peak_rss'] / 1e6:.0f} MB: ratio {theirs / default:.2f}", flush=True)
        return pairs

    def running(self):
        """Load to first token of the command; prefill and decode beside the limits of the machine, measured in the same process."""
        rows = []
        for name, path, precision in (("GGUF", self.a.gguf, "f32"), ("fp32 folder", self.twin, "f32"), ("fp32 folder", self.twin, "bf16")):
            first = json.loads(self.run(self.a.quernel, "run", path, "-p", "The", "-n", 1, "--greedy", "--json")[0])
            speed = json.loads(self.run(self.a.quernel.parent / "quernel_runtime_speed", path, 2, precision)[0])
            rows.append({"model": name, "load_to_first_token": first["load_seconds"] + first["prefill_seconds"], **speed})
            print(f"run {name + ' ' + precision:22} first token {rows[-1]['load_to_first_token']:.2f} s  pp512 {speed['prefill_tok_s']:.0f}/s "
                  f"({100 * speed['prefill_share']:.0f} % of the products alone)  tg64 {speed['decode_tok_s']:.1f}/s "
                  f"({100 * speed['decode_share']:.0f} % of reading alone)", flush=True)
        return rows

    def whole_text(self):
        """All of (a), once each: the long run behind the ratio of the short ones."""
        if self.a.quick:
            return None
        ours, _ = self.perplexity(self.twin, "--ctx", 2048)
        out, _ = self.run(self.a.peers, "tests/peers/perplexity_reference.py", self.twin, "--text", self.wiki)
        torch = json.loads(out.splitlines()[-1])
        print(f"perplexity (a), {ours['tokens']} tokens: ours {ours['ppl']:.4f} in {ours['seconds']:.1f} s; PyTorch {torch['ppl']:.4f} in "
              f"{torch['seconds']:.1f} s: ratio {torch['seconds'] / ours['seconds']:.2f}", flush=True)
        return {"ours": ours, "torch": torch}


def main():
    parser = argparse.ArgumentParser()
    for name in ("quernel", "gguf", "models", "shared", "peers", "llmcompressor", "work", "results"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--quick", action="store_true", help="three accuracy rows, one pair of timings")
    parser.add_argument("--busy", action="store_true", help="the machine has other work: record no seconds of accuracy rows")
    parser.add_argument("--rows", default="", help="only accuracy rows whose name matches this expression")
    parser.add_argument("--sections", default="", help="run, against_torch, against_llmcompressor, source, accuracy, whole_text; all")
    bench = Bench(parser.parse_args())
    version = json.loads(subprocess.run([bench.a.quernel, "version", "--json"], check=True, stdout=subprocess.PIPE).stdout)
    print(f"{version['cpu']}, {version['cores']} cores, {version['blas']}, commit {version['commit']}")
    chosen = [row for row in ROWS if re.search(bench.a.rows, row[0])]
    if bench.a.quick:
        chosen = [row for row in chosen if row[0] in ("RTN W4 g64", "GPTQ plain W4 g64", "GPTQ default W4 g64")]
    figures = {"date": datetime.date.today().isoformat(), "machine": version, "python": platform.python_version(),
               "command": "make bench", "environment": {key: os.environ[key] for key in ("QUERNEL_ISA",) if key in os.environ}}
    cpu = re.sub(r"[^a-z0-9]+", "-", version["cpu"].lower()).strip("-")
    path = bench.a.results / f"{figures['date']}-{cpu}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():  # sections of an earlier run of this day stay
        figures = {**json.loads(path.read_text()), **figures}
    bench.commit = version["commit"]

    def write():
        path.write_text(json.dumps(figures, indent=1) + "\n")

    def stamped(measure):
        return lambda: {"commit": bench.commit, "measured": measure()}

    sections = {"run": stamped(bench.running), "against_torch": stamped(bench.against_torch),
                "against_llmcompressor": stamped(bench.against_llmcompressor), "source": stamped(bench.source),
                "accuracy": lambda: bench.accuracies(chosen, figures.setdefault("accuracy", []), write),
                "whole_text": stamped(bench.whole_text)}
    for name in bench.a.sections.split(",") if bench.a.sections else sections:
        figures[name] = sections[name]()
        write()
    print(f"written to {path}")


if __name__ == "__main__":
    main()
