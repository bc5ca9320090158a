#!/usr/bin/env python3
"""Writes the built-in calibration corpus: src/calib/corpus/mixed_v1.txt.

usage: make_corpus.py [--check]      --check: compare with the committed file instead of writing it

The corpus is made of documents written by hand (src/calib/corpus/stock, one file a kind, documents separated by a line "%%") and
of documents generated here, in a fixed shuffled order. Generated ones are small worlds: a town, a person, a match or a data set is
drawn first and the text then speaks of it, so that facts within a document agree. Only the standard library is used; the
generator of random numbers is our own, so that no version of Python changes a byte.
"""
import sys
from pathlib import Path

import corpus_worlds

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "src" / "calib" / "corpus"
SEED = 20240613
STOCK = ("prose", "dialogue", "code", "markup", "korean", "scripts")
SEPARATOR = "\n%%\n"


def stock_documents():
    for name in STOCK:
        text = (FOLDER / "stock" / f"{name}.txt").read_text(encoding="utf-8")
        yield from (document.strip("\n") for document in text.split(SEPARATOR))


def build():
    draw = corpus_worlds.Draw(SEED)
    documents = list(stock_documents())
    for kind, count in corpus_worlds.PLAN:
        documents += [kind(draw).strip("\n") for _ in range(count)]
    draw.shuffle(documents)
    assert len(set(documents)) == len(documents), "a document twice"
    return "\n\n".join(documents) + "\n"


def main():
    path = FOLDER / "mixed_v1.txt"
    text = build()
    if "--check" in sys.argv[1:]:
        if path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} is not what {sys.argv[0]} makes")
        return
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path}: {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
