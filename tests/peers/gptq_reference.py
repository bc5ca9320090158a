#!/usr/bin/env python3
"""GPTQ written down from the paper, in double precision and one weight at a time, as a judge of src/quant.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023, section 3
(the update by the Cholesky factor of the inverse Hessian), with the group and ordering options that later tools added.
Nothing here is shared with the C++ solver: inverse by numpy, no blocks, no float32.

Usage: gptq_reference.py > tests/quant/gptq_golden.inc        writes the golden results
       gptq_reference.py --check tests/quant/gptq_golden.inc  fails if they are no longer what the paper's steps give
Needs: numpy
"""
import sys

import numpy as np


class Lcg:
    """Integers that C++ can draw too: x <- 6364136223846793005 x + 1442695040888963407 mod 2^64, upper 31 bits."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


def make_weight(seed, rows, cols):
    rng = Lcg(seed)
    return np.array([[(rng.below(2001) - 1000) / 1024 for _ in range(cols)] for _ in range(rows)])


def make_hessian(seed, cols, tokens, dead):
    """X^T X of integer inputs with a common part: exact in float32, correlated, of unequal diagonal."""
    rng = Lcg(seed)
    x = np.zeros((tokens, cols))
    for t in range(tokens):
        common = rng.below(9) - 4
        for k in range(cols):
            x[t, k] = (rng.below(7) - 3 + common) * (1 + (k * 7) % 5)
    x[:, dead] = 0
    return x.T @ x


def group_grid(values, bits, symmetry):
    """Scale (float16) and zero point of one group, from its range."""
    top = 2**bits - 1
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    if low == 0 and high == 0:
        return 1.0, 2 ** (bits - 1)
    if symmetry == "asym":
        scale = float(np.float16((high - low) / top))
        return scale, int(np.clip(np.rint(-low / scale), 0, top))
    middle = 2 ** (bits - 1)
    if symmetry == "sym":
        return float(np.float16(2 * max(-low, high) / top)), middle
    return float(np.float16(max(-low / middle, high / (middle - 1)))), middle


def visiting_order(diagonal, order, group_size):
    cols = len(diagonal)
    if order == "natural":
        return list(range(cols))
    if order == "act-order":
        return sorted(range(cols), key=lambda k: -diagonal[k])
    groups = [sorted(range(f, min(f + group_size, cols)), key=lambda k: -diagonal[k]) for f in range(0, cols, group_size)]
    tail = groups.pop() if cols % group_size else []
    groups.sort(key=lambda g: -diagonal[g[0]])
    return [k for g in groups for k in g] + tail


def gptq(weight, hessian, bits, group_size, symmetry, order, static, damp):
    rows, cols = weight.shape
    diagonal = np.diag(hessian)
    perm = visiting_order(diagonal, order, group_size)
    live = diagonal > 0
    h = hessian / diagonal[live].mean()
    h[~live, ~live] = 1
    h = h[np.ix_(perm, perm)] + damp * np.eye(cols)
    upper = np.linalg.cholesky(np.linalg.inv(h)).T
    groups = -(-cols // group_size)
    keeps_groups = static or order != "act-order"
    group_of = [(k if keeps_groups else perm.index(k)) // group_size for k in range(cols)]
    scale = np.ones((rows, groups))
    zero = np.zeros((rows, groups), int)

    def find(group, current):
        members = [k for k in range(cols) if group_of[k] == group]
        for r in range(rows):
            scale[r, group], zero[r, group] = group_grid(current[r, members], bits, symmetry)

    codes = np.zeros((rows, cols), int)
    work = weight.copy()
    for g in range(groups if static else 0):
        find(g, work)
    for i, k in enumerate(perm):
        g = group_of[k]
        if not static and i % group_size == 0:
            find(g, work)
        codes[:, k] = np.clip(np.rint(work[:, k] / scale[:, g]) + zero[:, g], 0, 2**bits - 1)
        error = (work[:, k] - scale[:, g] * (codes[:, k] - zero[:, g])) / upper[i, i]
        for j in range(i + 1, cols):
            work[:, perm[j]] -= error * upper[i, j]
    return codes, scale, zero, group_of


CASES = [
    # name, rows, cols, tokens, dead columns, bits, group size, symmetry, order, static groups
    ("natural_static", 5, 24, 96, [], 4, 8, "asym", "natural", True),
    ("natural_windows", 5, 24, 96, [], 4, 8, "asym", "natural", False),
    ("act_order_static", 7, 40, 120, [], 4, 16, "asym", "act-order", True),
    ("act_order_windows", 7, 40, 120, [], 4, 16, "asym", "act-order", False),
    ("group_aware_static", 6, 44, 132, [], 3, 8, "asym", "group-aware", True),
    ("group_aware_windows", 6, 44, 132, [], 3, 8, "sym", "group-aware", False),
    ("full_range_two_bits", 4, 20, 80, [], 2, 8, "full-range", "act-order", True),
    ("dead_columns", 4, 24, 72, [3, 17], 4, 8, "asym", "act-order", True),
    ("fewer_tokens_than_columns", 4, 32, 12, [], 4, 32, "sym", "act-order", True),
    ("one_group_a_row", 50, 48, 144, [], 8, 48, "asym", "natural", False),
    ("several_tiles_and_blocks", 100, 150, 400, [], 4, 64, "asym", "act-order", True),
    ("windows_across_blocks", 52, 150, 400, [], 3, 48, "asym", "natural", False),
]


def text(rows, bits=8):
    return "".join(format(int(v), "02x" if bits > 4 else "x") for row in rows for v in row)


def render():
    out = ["// Written by tests/peers/gptq_reference.py: GPTQ in double precision, one weight at a time.",
           "// Hex: two digits an entry, one where bits are 4 or fewer (codes and zero points)."]
    for n, (name, rows, cols, tokens, dead, bits, group_size, symmetry, order, static) in enumerate(CASES):
        weight = make_weight(1000 + n, rows, cols)
        hessian = make_hessian(2000 + n, cols, tokens, dead)
        codes, scale, zero, group_of = gptq(weight, hessian, bits, group_size, symmetry, order, static, 0.01)
        words = " ".join
        out.append("{.name = \"%s\", .rows = %d, .cols = %d, .tokens = %d, .dead = {%s}," % (
            name, rows, cols, tokens, ", ".join(map(str, dead))))
        out.append(" .options = \"%s\"," % words([
            f"bits={bits}", f"group-size={group_size}", f"symmetry={symmetry}", f"order={order}",
            f"static-groups={'true' if static else 'false'}", "search=minmax", "damp=0.01", "refine-rounds=0"]))
        out.append(" .groups = \"%s\"," % text([group_of]))
        out.append(" .zero_points = \"%s\"," % text(zero, bits))
        out.append(" .scale_sum = %r," % float(scale.sum()))
        out.append(" .codes =")
        digits = text(codes, bits)
        out += ["     \"%s\"" % digits[i:i + 100] for i in range(0, len(digits), 100)]
        out[-1] += "},"
    return "\n".join(out) + "\n"


def main():
    rendered = render()
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="utf-8") as file:
            same = file.read() == rendered
        print("gptq_reference:", "1 passed, 0 failed" if same else "0 passed, 1 failed")
        sys.exit(0 if same else 1)
    sys.stdout.write(rendered)


if __name__ == "__main__":
    main()
