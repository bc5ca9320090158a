#!/usr/bin/env python3
"""Our tokenizer against the `tokenizers` package: the same ids, the same text back, and the time of both.

Four texts of 1 MB each (English, code, Korean, random UTF-8) through every tokenizer named, then small vocabularies trained on
the spot for each family's normalizer and pre-tokenizer, and for the flags of added tokens. One difference fails the run.

usage: tokenizer_agreement.py --command "build/bin/quernel_tokenize" --data SHARED/data [--tokenizer NAME=PATH ...]
       the command takes a tokenizer.json and text on standard input and prints ids; with --decode --keep-special the other way
       round; with --time N it also prints its seconds (left out where the command does not know it: --no-time)
needs: python3 with tokenizers
"""
import argparse
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile
import time
import unicodedata

os.environ["RUST_BACKTRACE"] = "0"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

MEGABYTE = 1_000_000
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"
TEKKEN = (f"{LEAD}{UPPER}*{LOWER}+|{LEAD}{UPPER}+{LOWER}*" + r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (f"{LEAD}{UPPER}*{LOWER}+{CONTRACTIONS}?|{LEAD}{UPPER}+{LOWER}*{CONTRACTIONS}?"
         + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_V3 = ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
               "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")
CASED = ("A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377"
         "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556"
         "\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A"
         "\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4"
         "\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC"
         "\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F"
         "\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B"
         "\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A"
         "\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
         "\U000118A0-\U000118DF\U0001E900-\U0001E943")
MARKS = "!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002"
CJK_HANGUL = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"
CJK_KANA = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+"


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(*steps, use_regex=False, prefix=False):
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)])


def digits():
    return pre_tokenizers.Digits(individual_digits=True)


# name -> (normalizer, pre-tokenizer, byte-level)
FAMILIES = {
    "gpt2": (None, byte_level(use_regex=True), True),
    "gpt2, prefix space": (None, byte_level(use_regex=True, prefix=True), True),
    "smollm": (None, byte_level(digits(), use_regex=True), True),
    "llama3": (None, byte_level(split(LLAMA3)), True),
    "llama3, removed inverted": (None, byte_level(split(LLAMA3, "removed", True)), True),
    "qwen2": (normalizers.NFC(), byte_level(split(QWEN2)), True),
    "tekken": (None, byte_level(split(TEKKEN)), True),
    "o200k": (None, byte_level(split(O200K)), True),
    "PCRE2": (None, byte_level(split(r"(?<=\p{Lu})\p{Ll}{2,}|[\p{L}-]+?(?=\s|$)|\d{2}|[^\w\s]++|\s+(?!\S)")), True),
    "PCRE2, merged": (None, byte_level(split(r"(?i)[aeiou]\w*", "merged_with_previous", True)), True),
    "deepseek-llm": (normalizers.Sequence([]), byte_level(split("[\r\n]"), split(rf"\s?[{CASED}]+"), split(rf"\s?[{MARKS}]+"),
                                                          split(r"\s+$"), split(CJK_HANGUL), digits()), True),
    "deepseek-coder": (None, byte_level(split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split(CJK_HANGUL),
                                        digits()), True),
    "deepseek-v3": (None, byte_level(split(r"\p{N}{1,3}"), split(CJK_KANA), split(DEEPSEEK_V3)), True),
    "digit runs": (None, byte_level(pre_tokenizers.Digits(individual_digits=False), use_regex=True), True),
    "contiguous": (None, byte_level(split(r"\p{N}", "contiguous")), True),
    "merged with next": (None, byte_level(split(r"\s", "merged_with_next")), True),
    "merged with previous": (None, byte_level(split(r"\s", "merged_with_previous")), True),
    "removed": (None, byte_level(split(r"\s+", "removed")), True),
    "trailing space": (None, byte_level(split(r"\s+$")), True),
    "llama-2 legacy": (normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]), None, False),
    "metaspace always": (None, pre_tokenizers.Metaspace(), False),
    "metaspace first": (None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), False),
    "metaspace never": (None, pre_tokenizers.Metaspace(prepend_scheme="never"), False),
    "gemma": (normalizers.Replace(" ", "\u2581"), pre_tokenizers.Split(" ", "merged_with_previous"), False),
}


def random_text(seed, size):
    """Code points of the whole range, and of narrow ranges with white space, digits and contractions between them."""
    rng = random.Random(seed)
    ranges = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x5D0, 0x6FF), (0x900, 0xDFF), (0x1100, 0x11FF),
              (0x1E00, 0x206F), (0x2070, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFB00, 0xFFEF),
              (0x10000, 0x1FAFF), (0x20000, 0x323AF), (0, 0x10FFFF)]
    joints = [" ", "  ", "   ", "\n", "\r\n", "\n\n ", "\t", " \t\n ", "\u00A0", "\u3000", "\u2028", "'s", "'RE", "'\u017F", "'ll",
              "123", "4 56", "\u0661\u0662", "\u2581", " \u2581", "_", "/", "...", "\x00", "\x1c", "\x85"]
    parts, length = [], 0
    while length < size:
        low, high = rng.choice(ranges)
        run = [rng.randint(low, high) for _ in range(rng.randint(1, 12))]
        part = "".join(chr(c) for c in run if not 0xD800 <= c < 0xE000) + rng.choice(joints)
        if rng.random() < 0.02:
            part += rng.choice(["<|im_start|>", "<s>", "</s>   x", "  <unk>", "<0x0A>", "<|endoftext|>", "\u00F5"])
        parts.append(part)
        length += len(part.encode())
    return "".join(parts).encode()[:size].decode("utf-8", "ignore")


def cut(data, size):
    data = data * (size // len(data) + 1)
    return data[:size].decode("utf-8", "ignore")


class Ours:
    def __init__(self, command, timed):
        self.command, self.timed = shlex.split(command), timed

    def run(self, path, data, *options):
        done = subprocess.run([*self.command, str(path), *options], input=data, capture_output=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(self.command)} {path}: exit {done.returncode}\n{done.stderr.decode()}")
        return done

    def encode(self, path, text):
        done = self.run(path, text.encode(), *(["--time", "3"] if self.timed else []))
        seconds = dict(zip(*[iter(done.stderr.decode().split())] * 2)) if self.timed else {}
        return [int(x) for x in done.stdout.split()], {k: float(v) for k, v in seconds.items()}

    def decode(self, path, ids):
        return self.run(path, " ".join(map(str, ids)).encode(), "--decode", "--keep-special").stdout


def first_difference(ours, theirs, reference):
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    show = lambda ids: [reference.id_to_token(i) for i in ids[max(0, at - 3):at + 5]]
    return f"id {at}: ours {show(ours)}, theirs {show(theirs)}"


def bytes_without_token(tokenizer):
    """Bytes that a byte-level vocabulary cannot say; the reference leaves them out."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    alphabet = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    return bytes(b for b in range(256) if tokenizer.token_to_id(alphabet[b]) is None)


def compare(name, path, texts, ours, byte_level_decoder, repeats=1):
    reference = Tokenizer.from_file(str(path))
    missing = bytes_without_token(reference) if byte_level_decoder else b""
    failures = 0
    for text_name, text in texts.items():
        lossless = byte_level_decoder and not any(b in missing for b in text.encode())
        seconds = []
        for _ in range(repeats):
            start = time.process_time()
            theirs = reference.encode(text, add_special_tokens=False).ids
            seconds.append(time.process_time() - start)
        ids, timing = ours.encode(path, text)
        problems = [] if ids == theirs else [first_difference(ids, theirs, reference)]
        back = ours.decode(path, ids).decode("utf-8", "replace")
        if lossless and back != text:
            problems.append("decode(encode(x)) is not x")
        if not lossless and back != reference.decode(theirs, skip_special_tokens=False):
            problems.append("decodes to another text")
        size = len(text.encode()) / MEGABYTE
        rates = f"theirs {size / min(seconds):6.2f} MB/s"
        if timing:
            rates += f", ours {size / timing['first']:6.1f} (first) {size / timing['best']:6.1f} MB/s, load {timing['load']:.3f} s"
        print(f"{'FAIL' if problems else 'same'}  {name:24} {text_name:8} {len(theirs):7} ids  {rates}  {'; '.join(problems)}")
        failures += bool(problems)
    return failures


def train(normalizer, pre, is_byte_level, corpus):
    tokenizer = Tokenizer(models.BPE(byte_fallback=not is_byte_level, unk_token=None if is_byte_level else "<unk>",
                                     fuse_unk=not is_byte_level))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    alphabet = pre_tokenizers.ByteLevel.alphabet() if is_byte_level else []
    special = [] if is_byte_level else ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=3000, initial_alphabet=alphabet, special_tokens=special, show_progress=False,
                                  limit_alphabet=1500, max_token_length=16)
    tokenizer.train_from_iterator(corpus.splitlines(keepends=True), trainer)
    if is_byte_level:
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def known_to_all(text):
    """Without characters that only newer versions of Unicode know: PCRE2 has its own."""
    return "".join(c for c in text if unicodedata.category(c) != "Cn")


def check_families(ours, texts, folder):
    corpus = "".join(text[:120_000] for text in texts.values())
    short = {name: text[:250_000] for name, text in texts.items()}
    failures = 0
    for name, (normalizer, pre, is_byte_level) in FAMILIES.items():
        tokenizer = train(normalizer, pre, is_byte_level, corpus)
        path = folder / "family.json"
        tokenizer.save(str(path))
        lossy = normalizer is not None or name == "removed" or "prefix" in name
        own = {k: known_to_all(v) for k, v in short.items()} if name.startswith("PCRE2") else short
        failures += compare(name, path, own, ours, is_byte_level and not lossy)
    return failures


def check_added_tokens(ours, folder):
    """Every combination of the five flags, alone and against each other, in normalized and raw text."""
    rng = random.Random(18)
    failures = compared = refused = 0
    words = ["<tok>", "<to", "a", "ab", "  ", " x", "\u00e9", "<|q|>", "\u2581b", "\u00c9t\u00e9"]
    for round_number in range(40):
        is_byte_level = round_number % 2 == 0
        normalizer = rng.choice([None, normalizers.NFC()]) if is_byte_level else FAMILIES["llama-2 legacy"][0]
        pre = FAMILIES["gpt2"][1] if is_byte_level else rng.choice([None, pre_tokenizers.Metaspace(prepend_scheme="first")])
        tokenizer = train(normalizer, pre, is_byte_level, "a b ab abc <tok> x y z \u00e9t\u00e9 _ . " * 50)
        for word in rng.sample(words, 5):
            flags = {k: rng.random() < 0.5 for k in ("single_word", "lstrip", "rstrip", "normalized")}
            token = AddedToken(word, **flags)
            rng.choice([tokenizer.add_tokens, tokenizer.add_special_tokens])([token])
        tokenizer.post_processor = processors.TemplateProcessing(single="a $A ab", special_tokens=[("a", 3), ("ab", 4)])
        path = folder / "added.json"
        tokenizer.save(str(path))
        pieces = [*words, " ", "x", ".", "\n", "e\u0301", "_", "1", "\u00a0", "abc", "\u3000"]
        reference = Tokenizer.from_file(str(path))
        for _ in range(25):
            text = "".join(rng.choice(pieces) for _ in range(rng.randint(1, 60)))
            try:
                theirs = reference.encode(text).ids
            except BaseException as error:  # the reference panics where two tokens strip the same white space
                if type(error).__name__ != "PanicException":
                    raise
                refused += 1
                continue
            ids = [int(x) for x in ours.run(path, text.encode(), "--add-special").stdout.split()]
            compared += 1
            if ids != theirs:
                failures += 1
                print(f"FAIL  added tokens, round {round_number}, {text!r}: {first_difference(ids, theirs, reference)}")
    print(f"added tokens: {compared} texts compared, {refused} that the reference fails on, {failures} differ")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizer", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--no-time", action="store_true")
    arguments = parser.parse_args()
    data = arguments.data
    texts = {
        "English": cut((data / "text/exl3_c4.utf8").read_bytes(), MEGABYTE),
        "code": cut((data / "text/exl3_code.utf8").read_bytes(), MEGABYTE),
        "Korean": cut((data / "korean/ud_korean_kaist_dev.txt").read_bytes(), MEGABYTE),
        "random": random_text(20261122, MEGABYTE),
    }
    ours = Ours(arguments.command, not arguments.no_time)
    named = {"GPT-2": data / "tokenizer/gpt2_tokenizer.json", "Phi-3": data / "tokenizer/phi3-v_tokenizer.json"}
    for name, path in (entry.split("=", 1) for entry in arguments.tokenizer):
        if pathlib.Path(path) not in named.values():
            named[name] = pathlib.Path(path)
    failures = 0
    for name, path in named.items():
        reference = Tokenizer.from_file(str(path))
        lossless = isinstance(reference.decoder, decoders.ByteLevel)
        failures += compare(name, path, texts, ours, lossless, repeats=2)
    with tempfile.TemporaryDirectory() as folder:
        failures += check_families(ours, texts, pathlib.Path(folder))
        failures += check_added_tokens(ours, pathlib.Path(folder))
    print("no differences" if failures == 0 else f"{failures} differences")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
