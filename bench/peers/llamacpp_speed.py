"""Speed of llama.cpp (llama-cpp-python) on one GGUF file, test by test, as `quernel bench` measures it.

usage: llamacpp_speed.py FILE.gguf THREADS KV TEST [TEST ...]      KV: f16, q8_0, q4_0 (quantized ones with flash attention)
       llamacpp_speed.py --quantize FROM.gguf TO.gguf TYPE        TYPE: q4_0, q4_k_m, q8_0
TEST is pp512, tg128, tg64@4096 (behind so many tokens), tg64x8 (sequences at once), pp512@4096. Prints one line of JSON: tokens a second of each.
"""
import ctypes
import json
import random
import re
import sys
import time

import llama_cpp as L

TYPES = {"q4_0": L.LLAMA_FTYPE_MOSTLY_Q4_0, "q4_k_m": L.LLAMA_FTYPE_MOSTLY_Q4_K_M, "q8_0": L.LLAMA_FTYPE_MOSTLY_Q8_0}
KV_TYPES = {"f16": 1, "q8_0": 8, "q4_0": 2}  # ggml type numbers


def quantize(source, target, name):
    params = L.llama_model_quantize_default_params()
    params.ftype = TYPES[name]
    params.allow_requantize = True
    params.nthread = 2
    if L.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) != 0:
        sys.exit("llama.cpp could not quantize")


class Peer:
    def __init__(self, path, threads, kv, context, sequences):
        params = L.llama_model_default_params()
        params.n_gpu_layers = 0
        self.model = L.llama_model_load_from_file(path.encode(), params)
        how = L.llama_context_default_params()
        how.n_ctx = context * sequences
        how.n_seq_max = sequences
        how.n_batch = 2048
        how.n_ubatch = 512
        how.n_threads = how.n_threads_batch = threads
        how.type_k = how.type_v = KV_TYPES[kv]
        if kv != "f16" and hasattr(how, "flash_attn_type"):
            how.flash_attn_type = 1
        self.context = L.llama_init_from_model(self.model, how)
        self.memory = L.llama_get_memory(self.context)
        self.vocab = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        self.batch = L.llama_batch_init(2048, 0, 1)
        self.random = random.Random(1)

    def decode(self, rows):
        """rows: (position, sequence, wants logits)."""
        self.batch.n_tokens = len(rows)
        for i, (position, sequence, wants) in enumerate(rows):
            self.batch.token[i] = self.random.randrange(self.vocab)
            self.batch.pos[i] = position
            self.batch.n_seq_id[i] = 1
            self.batch.seq_id[i][0] = sequence
            self.batch.logits[i] = wants
        if L.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama_decode failed")
        L.llama_get_logits(self.context)

    def prompt(self, first, count, sequence=0):
        for at in range(0, count, 512):
            part = min(512, count - at)
            self.decode([(first + at + i, sequence, at + i == count - 1) for i in range(part)])

    def close(self):
        L.llama_batch_free(self.batch)
        L.llama_free(self.context)
        L.llama_model_free(self.model)


def measure(path, threads, kv, test):
    kind, count, depth, batch = re.fullmatch(r"(pp|tg)(\d+)(?:@(\d+))?(?:x(\d+))?", test).groups()
    count, depth, batch = int(count), int(depth or 0), int(batch or 1)
    peer = Peer(path, threads, kv, depth + count + 32, batch)
    for sequence in range(batch):
        if depth:
            peer.prompt(0, depth, sequence)
    rates = []
    for repeat in range(3):  # the first warms up
        for sequence in range(batch):
            L.llama_memory_seq_rm(peer.memory, sequence, depth, -1)
        start = time.perf_counter()
        if kind == "pp":
            peer.prompt(depth, count)
        else:
            for step in range(count):
                peer.decode([(depth + step, sequence, True) for sequence in range(batch)])
        if repeat:
            rates.append(count * batch / (time.perf_counter() - start))
    peer.close()
    return sum(rates) / len(rates)


def main():
    silent = L.llama_log_callback(lambda level, text, data: None)
    L.llama_log_set(silent, None)
    if sys.argv[1] == "--quantize":
        quantize(*sys.argv[2:])
        return
    path, threads, kv, tests = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    L.llama_backend_init()
    print(json.dumps({test: measure(path, threads, kv, test) for test in tests}))


if __name__ == "__main__":
    main()
