"""Shows what the demo measured: reads the JSON files that scripts/demo left in a folder. Standard library only."""
import json
import pathlib
import shutil
import sys
import textwrap


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def row(name, source, result):
    print(f"  {name:<24} {source:>16} {result:>16}")


def completion(title, prompt, run):
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    print(f"\n  {title}")
    print(textwrap.indent(textwrap.fill(prompt + run["text"].rstrip(), width - 4), "    "))


def main():
    folder, prompt = pathlib.Path(sys.argv[1]), sys.argv[2]
    load = lambda name: json.loads((folder / f"{name}.json").read_text())
    report, kld = load("report"), load("kld")
    source, result = load("ppl_source"), load("ppl_result")
    totals = report["totals"]
    print()
    row("", "source (GGUF)", "4 bits")
    row("bytes of tensors", megabytes(totals["bytes_in"]), megabytes(totals["bytes_out"]))
    row("decoder bits a weight", "5.00", f"{totals['bpw_effective']:.2f}")
    row("perplexity, held-out", f"{source['ppl']:.3f}", f"{result['ppl']:.3f} +- {result['stderr']:.2f}")
    row("KL divergence, mean", "0", f"{kld['kld']['mean']:.4f}")
    row("KL divergence, 99 %", "0", f"{kld['kld']['p99']:.4f}")
    row("top-1 agreement", "100 %", f"{100 * kld['top1']:.1f} %")
    row("seconds to quantize", "", f"{totals['seconds']:.0f}")
    row("peak memory", "", megabytes(totals["peak_rss"]))
    completion("source:", prompt, load("run_source"))
    completion("4 bits:", prompt, load("run_result"))
    print(textwrap.dedent("""
      Mind: the weights of this GGUF already lie on a 4-bit grid of 32, which flatters every 4-bit result on it.
      docs/results.md judges on an off-grid twin of the model. The embedding is stored in 16 bits (source: 8)."""))
    print(f"\n  checkpoint: {report['command'].split(' -o ')[1].split()[0]}")


if __name__ == "__main__":
    main()
