"""Writes tiny random models as Hugging Face folders, with nothing but the standard library.

A Llama of 2 layers, width 64, byte-level tokenizer of 260 tokens: small enough that a whole quantization job takes a moment,
whole enough that every step of it has work to do.
"""
import json
import math
import pathlib
import random
import struct

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCAB = 64, 96, 2, 4, 2, 260


def byte_alphabet():
    """The 256 printable characters that byte-level vocabularies spell bytes with."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


def tokenizer():
    vocab = {char: byte for byte, char in byte_alphabet().items()}
    for index in range(256, VOCAB):
        vocab[f"<|extra{index}|>"] = index
    added = [dict(id=i, content=f"<|extra{i}|>", single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i in range(256, VOCAB)]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": []},
    }


def config(layers=LAYERS):
    return dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=HIDDEN, intermediate_size=INNER,
                num_hidden_layers=layers, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HIDDEN // HEADS,
                vocab_size=VOCAB, max_position_embeddings=512, rope_theta=10000.0, rms_norm_eps=1e-5, hidden_act="silu",
                tie_word_embeddings=True, attention_bias=False, mlp_bias=False, bos_token_id=256, eos_token_id=257,
                torch_dtype="float32")


def shapes(layers=LAYERS):
    kv = KV_HEADS * HIDDEN // HEADS
    yield "model.embed_tokens.weight", (VOCAB, HIDDEN)
    for i in range(layers):
        at = f"model.layers.{i}."
        yield at + "input_layernorm.weight", (HIDDEN,)
        yield at + "self_attn.q_proj.weight", (HIDDEN, HIDDEN)
        yield at + "self_attn.k_proj.weight", (kv, HIDDEN)
        yield at + "self_attn.v_proj.weight", (kv, HIDDEN)
        yield at + "self_attn.o_proj.weight", (HIDDEN, HIDDEN)
        yield at + "post_attention_layernorm.weight", (HIDDEN,)
        yield at + "mlp.gate_proj.weight", (INNER, HIDDEN)
        yield at + "mlp.up_proj.weight", (INNER, HIDDEN)
        yield at + "mlp.down_proj.weight", (HIDDEN, INNER)
    yield "model.norm.weight", (HIDDEN,)


def write_safetensors(path, tensors):
    """tensors: name -> (shape, list of floats)."""
    header, data = {"__metadata__": {"format": "pt"}}, bytearray()
    for name, (shape, values) in tensors.items():
        begin = len(data)
        data += struct.pack(f"<{len(values)}f", *values)
        header[name] = dict(dtype="F32", shape=list(shape), data_offsets=[begin, len(data)])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))


SUPER_ROW, SUPER_COLUMN, SUPER_WEIGHT = 5, 7, 10.0


def add_super_weight(tensors):
    """A weight of layer 0's down_proj 100 times the others, which reads the largest inner channel."""
    at = "model.layers.0.mlp."
    for name in ("gate_proj", "up_proj"):
        values = tensors[f"{at}{name}.weight"][1]
        values[SUPER_COLUMN * HIDDEN:(SUPER_COLUMN + 1) * HIDDEN] = [8 * v for v in values[SUPER_COLUMN * HIDDEN:(SUPER_COLUMN + 1) * HIDDEN]]
    tensors[f"{at}down_proj.weight"][1][SUPER_ROW * INNER + SUPER_COLUMN] = SUPER_WEIGHT


def write(folder, seed=1, layers=LAYERS, super_weight=False):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    rng = random.Random(seed)
    tensors = {}
    for name, shape in shapes(layers):
        count = math.prod(shape)
        if len(shape) == 1:
            values = [1.0 + 0.1 * rng.uniform(-1, 1) for _ in range(count)]
        else:
            values = [rng.gauss(0, 1) / math.sqrt(shape[-1]) for _ in range(count)]
        tensors[name] = (shape, values)
    if super_weight:
        add_super_weight(tensors)
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(config(layers), indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer(), ensure_ascii=False))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def calibration_text(path, size=40_000, seed=3):
    rng = random.Random(seed)
    words = ["stone", "river", "light", "under", "seven", "green", "asks", "the", "a", "of", "and", "holds", "slowly", "door"]
    text = ""
    while len(text) < size:
        text += " ".join(rng.choice(words) for _ in range(rng.randint(4, 12))).capitalize() + ".\n"
    path.write_text(text)
    return path
