#!/usr/bin/env python3
"""The same bytes, whatever happens: any number of threads, killed at points of the write path, at random times, interrupted.

usage: resume_test.py QUERNEL KILL_AT.so [POINTS]        POINTS: crash points that are tried (200)
Standard library only. Closes with `N passed, N failed`.
"""
import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import tiny_model

NOT_COMPARED = {"quernel/report.json", "quernel/layers.csv", "quernel/SHA256SUMS"}  # hold times and dates


class Bench:
    def __init__(self, program, shim, folder, extra=(), model=None, formats="gptq,compressed-tensors"):
        self.program, self.shim, self.folder, self.extra, self.formats = program, shim, folder, extra, formats
        self.model = model or folder / "model"
        if not self.model.exists():
            tiny_model.write(self.model)
        self.text = tiny_model.calibration_text(folder / "calib.txt")
        self.passed = self.failed = 0

    def command(self, out, *more):
        return [self.program, "quantize", str(self.model), "-o", str(out), "--bits", "4", "--group-size", "32", "--asym",
                "--calib", str(self.text), "--calib-samples", "6", "--calib-seqlen", "64", "--format", self.formats,
                "--save-every", "0", "--progress", "none", *self.extra, *more]

    def run(self, out, *more, env=None, expect=0):
        done = subprocess.run(self.command(out, *more), env={**os.environ, **(env or {})}, capture_output=True, text=True)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"exit {done.returncode}, expected {expect}: {done.stderr[-800:]}")
        return done.returncode

    def digest(self, out):
        total = hashlib.sha256()
        for path in sorted(p for p in out.rglob("*") if p.is_file()):
            name = str(path.relative_to(out))
            if any(name.endswith(skipped) for skipped in NOT_COMPARED):
                continue
            total.update(name.encode() + b"\0" + path.read_bytes())
        return total.hexdigest()

    def check(self, name, condition, detail=""):
        if condition:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {name} {detail}")

    def clean(self, out):
        shutil.rmtree(out, ignore_errors=True)
        for suffix in (".job", ".job.finished", ".auto"):
            shutil.rmtree(f"{out}{suffix}", ignore_errors=True)


def whole_or_absent(out):
    """No partial weight file under a final name: what is there by its final name opens as a whole file."""
    for path in out.rglob("*.safetensors"):
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        if len(raw) < 8 + length:
            return f"{path} is torn"
    return ""


def killed_and_resumed(bench, out, reference, point):
    bench.clean(out)
    env = {"LD_PRELOAD": bench.shim, "QUERNEL_KILL_AT": str(point)}
    code = bench.run(out, env=env, expect=None)
    torn = whole_or_absent(out) if out.exists() else ""
    bench.run(out, "--resume")
    whole = bench.digest(out) == reference and subprocess.run([bench.program, "verify", str(out)], capture_output=True).returncode == 0
    bench.check(f"kill point {point}", code == -signal.SIGKILL and not torn and whole, f"exit {code} {torn}")


def prepared_job(program, shim, folder, points):
    """The same of a job that changes the model first: killed while it prepares, it makes the same model again."""
    bench = Bench(program, shim, folder, ["--preprocess", "smoothquant+quarot"])
    out = folder / "prepared_out"
    bench.run(out, "--threads", "1")
    reference = bench.digest(out)
    bench.clean(out)
    bench.run(out, "--threads", "2", env={"LD_PRELOAD": bench.shim, "QUERNEL_KILL_COUNT": str(folder / "count")})
    bench.check("prepared, 2 threads", bench.digest(out) == reference)
    calls = int((folder / "count").read_text())
    for i in range(points):
        killed_and_resumed(bench, out, reference, 1 + round(i * (calls - 1) / max(points - 1, 1)))
    return bench


def listed_job(program, shim, folder, points):
    """The same of a job that keeps a super weight beside the codes."""
    model = folder / "super_model"
    tiny_model.write(model, super_weight=True)
    bench = Bench(program, shim, folder, ["--method", "qoq", "--super-weights", "auto", "--target", "weight"], model, "quernel")
    out = folder / "listed_out"
    bench.run(out, "--threads", "1")
    reference = bench.digest(out)
    bench.check("listed: there is a list", b"outlier_index" in (out / "model.safetensors").read_bytes())
    bench.clean(out)
    bench.run(out, "--threads", "2", env={"LD_PRELOAD": bench.shim, "QUERNEL_KILL_COUNT": str(folder / "count")})
    bench.check("listed, 2 threads", bench.digest(out) == reference)
    calls = int((folder / "count").read_text())
    for i in range(points):
        killed_and_resumed(bench, out, reference, 1 + round(i * (calls - 1) / max(points - 1, 1)))
    return bench


def auto_job(program, shim, folder, points):
    """The same of the choice among candidates and of the mix of their blocks."""
    model = folder / "auto_model"
    tiny_model.write(model, seed=3, layers=4)  # blocks of two candidates: cli_test.py mixes them
    bench = Bench(program, shim, folder, ["--method", "auto"], model)
    out = folder / "auto_out"
    bench.run(out, "--threads", "1")
    reference = bench.digest(out)
    bench.clean(out)
    bench.run(out, "--threads", "2", env={"LD_PRELOAD": bench.shim, "QUERNEL_KILL_COUNT": str(folder / "count")})
    bench.check("auto, 2 threads", bench.digest(out) == reference)
    calls = int((folder / "count").read_text())
    for i in range(points):
        # From the last candidate on: what one job does when it is killed is tested above.
        killed_and_resumed(bench, out, reference, round(calls * (0.75 + 0.25 * i / max(points - 1, 1))))
    return bench


def main():
    program, shim = sys.argv[1:3]
    points = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        bench = Bench(os.path.abspath(program), os.path.abspath(shim), folder)
        out = folder / "out"
        bench.run(out, "--threads", "1")
        reference = bench.digest(out)
        for threads in ("2", "4"):
            bench.clean(out)
            bench.run(out, "--threads", threads)
            bench.check(f"{threads} threads", bench.digest(out) == reference)

        bench.clean(out)
        start = time.monotonic()
        bench.run(out, env={"LD_PRELOAD": bench.shim, "QUERNEL_KILL_COUNT": str(folder / "count")})
        seconds = time.monotonic() - start
        calls = int((folder / "count").read_text())
        bench.check("the shim sees the write path", calls > 50, f"{calls} calls")
        chosen = sorted({1 + round(i * (calls - 1) / max(points - 1, 1)) for i in range(points)})
        for point in chosen:
            killed_and_resumed(bench, out, reference, point)

        rng = random.Random(5)
        for _ in range(max(points // 10, 3)):
            bench.clean(out)
            child = subprocess.Popen(bench.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rng.uniform(0, seconds))
            child.kill()
            child.wait()
            bench.run(out, "--resume")
            bench.check("killed at a random time", bench.digest(out) == reference)

        bench.clean(out)
        child = subprocess.Popen(bench.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not pathlib.Path(f"{out}.job", "state.json").exists() and child.poll() is None:
            time.sleep(0.002)  # before that the program may not have its handlers yet
        child.send_signal(signal.SIGINT)
        code = child.wait()
        bench.check("SIGINT exits with 130 (or the job was done)", code in (130, 0), f"exit {code}")
        bench.run(out, "--resume")
        bench.check("interrupted and resumed", bench.digest(out) == reference)
        bench.run(out, "--resume")
        bench.check("resuming a finished job changes nothing", bench.digest(out) == reference)
        for more in (prepared_job(bench.program, bench.shim, folder, max(points // 5, 2)),
                     listed_job(bench.program, bench.shim, folder, max(points // 5, 2)),
                     auto_job(bench.program, bench.shim, folder, max(points // 50, 2))):
            bench.passed += more.passed
            bench.failed += more.failed
        print(f"{len(chosen)} crash points of {calls}")
        print(f"{bench.passed} passed, {bench.failed} failed")
        return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
