"""The integer runtime beside llama.cpp: both run in turn (A-B-A-B), ratios of medians, one JSON file.

usage: runtime_ratio.py QUERNEL PEER_PYTHON OURS THEIRS.gguf OUT.json [--rounds 5] [--kv-bits 8] [--peer-kv f16] TEST [TEST ...]
TEST as in llamacpp_speed.py: pp512, tg128, tg64x8, tg32@4096.
"""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess


def ours(arguments, test):
    kind, count, depth, batch = re.fullmatch(r"(pp|tg)(\d+)(?:@(\d+))?(?:x(\d+))?", test).groups()
    words = [arguments.quernel, "bench", arguments.ours, "-r", "2", "-t", arguments.threads, "--kv-bits", arguments.kv_bits, "--json",
             "-p", count if kind == "pp" else "0", "-n", count if kind == "tg" else "0", "-d", depth or "0", "-b", batch or "1"]
    report = json.loads(subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout)
    return report["rows"][0]["tokens_per_second"], report


def theirs(arguments, test):
    script = pathlib.Path(__file__).with_name("llamacpp_speed.py")
    words = [arguments.peer_python, script, arguments.theirs, arguments.threads, arguments.peer_kv, test]
    return json.loads(subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True).stdout)[test]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("quernel", "peer_python", "ours", "theirs"):
        parser.add_argument(name)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--kv-bits", default="8")
    parser.add_argument("--peer-kv", default="f16")
    arguments = parser.parse_args()
    rows, limits, cpu = [], [], ""
    for test in arguments.tests:
        a, b = [], []
        for _ in range(arguments.rounds):
            rate, report = ours(arguments, test)
            a.append(rate)
            limits.append(report["limits"])
            cpu = report["cpu"]
            b.append(theirs(arguments, test))
        ratio = statistics.median(a) / statistics.median(b)
        rows.append({"test": test, "ours": a, "theirs": b, "ratio": ratio})
        print(f"{test:12} ours {statistics.median(a):9.1f} ({min(a):.1f} .. {max(a):.1f})   llama.cpp {statistics.median(b):9.1f} "
              f"({min(b):.1f} .. {max(b):.1f})   {ratio:.2f} x", flush=True)
    reads = [limit["read_bytes_per_second"] / 1e9 for limit in limits]
    entry = {"date": datetime.date.today().isoformat(), "cpu": cpu, "threads": arguments.threads, "isa": os.environ.get("QUERNEL_ISA", ""), "ours": pathlib.Path(arguments.ours).name,
             "theirs": pathlib.Path(arguments.theirs).name, "kv_bits": arguments.kv_bits, "peer_kv": arguments.peer_kv,
             "read_gb_per_second": [min(reads), max(reads)], "rows": rows}
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else []
    arguments.out.write_text(json.dumps([*known, entry], indent=1) + "\n")


if __name__ == "__main__":
    main()
