#!/usr/bin/env python3
"""Writes tiny random models of every supported architecture, with the logits that Transformers computes for them.

    python3 tiny_models.py OUT [NAME ...]

Each OUT/NAME is a Hugging Face folder (fp32 unless its name ends in _bf16) plus reference.safetensors: `ids` [tokens] int32 and
`logits` [tokens, vocab] float32, from an eager fp32 forward pass over the weights as stored. Sizes are odd on purpose, windows are
shorter than the text, and weights are drawn so that every part of a block changes the logits. Needs torch, transformers, safetensors.
"""

import pathlib
import sys

import torch
import transformers
from safetensors.torch import save_file

SEED = 20261122
NUM_TOKENS = 97

BASE = dict(vocab_size=301, hidden_size=72, intermediate_size=152, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=2, head_dim=16, max_position_embeddings=512, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
            pad_token_id=0)


def rope(theta, **more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


LLAMA3_ROPE = rope(5e5, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=64)
YARN_ROPE = rope(1e4, rope_type="yarn", factor=8.0, original_max_position_embeddings=64)

# name: (class of Transformers, what differs from BASE)
MODELS = {
    "llama": ("Llama", dict(tie_word_embeddings=False, **rope(1e4))),
    "llama_bias": ("Llama", dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, **rope(1e4))),
    "llama_linear_rope": ("Llama", rope(1e4, rope_type="linear", factor=3.0)),
    "llama32": ("Llama", dict(tie_word_embeddings=True, **LLAMA3_ROPE)),
    "llama32_bf16": ("Llama", dict(tie_word_embeddings=True, **LLAMA3_ROPE)),
    "llama_no_gqa": ("Llama", dict(hidden_size=70, num_attention_heads=5, num_key_value_heads=5, head_dim=14, **rope(1e4))),
    "mistral": ("Mistral", dict(sliding_window=23, **rope(1e4))),
    "mistral_wide_head": ("Mistral", dict(head_dim=32, sliding_window=None, **rope(1e6))),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True, **rope(1e6))),
    "qwen2_window": ("Qwen2", dict(use_sliding_window=True, sliding_window=19, max_window_layers=1, num_hidden_layers=4,
                                   **rope(1e6))),
    "qwen2_yarn": ("Qwen2", YARN_ROPE),
    "qwen3": ("Qwen3", dict(head_dim=24, **rope(1e6))),
    "qwen3_yarn_bf16": ("Qwen3", YARN_ROPE),
    "gemma2": ("Gemma2", dict(num_hidden_layers=4, head_dim=24, query_pre_attn_scalar=20, sliding_window=21,
                              attn_logit_softcapping=5.0, final_logit_softcapping=3.0, **rope(1e4))),
    "gemma3": ("Gemma3", dict(num_hidden_layers=6, head_dim=24, query_pre_attn_scalar=20, sliding_window=17,
                              layer_types=(["sliding_attention"] * 2 + ["full_attention"]) * 2,
                              rope_parameters={
                                  "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
                                  "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})),
    "gemma3_softcap": ("Gemma3", dict(num_hidden_layers=2, sliding_window=9, layer_types=["sliding_attention", "full_attention"],
                                      final_logit_softcapping=5.0)),
    "phi3": ("Phi3", dict(tie_word_embeddings=False, head_dim=None, hidden_size=96, **rope(1e4))),
    "phi3_partial": ("Phi3", dict(head_dim=None, hidden_size=96, partial_rotary_factor=0.75, sliding_window=31,
                                  **rope(1e4, partial_rotary_factor=0.75))),
    "smollm3": ("SmolLM3", dict(num_hidden_layers=5, no_rope_layers=[1, 1, 0, 1, 0], tie_word_embeddings=True, **rope(2e6))),
    "olmo2": ("Olmo2", dict(tie_word_embeddings=False, **rope(5e5))),
    "olmo2_no_gqa": ("Olmo2", dict(num_key_value_heads=6, head_dim=None, **rope(5e5))),
    "granite": ("Granite", dict(embedding_multiplier=6.0, attention_multiplier=0.09, residual_multiplier=0.3,
                                logits_scaling=2.5, tie_word_embeddings=True, **rope(1e4))),
}


def randomize(model, generator, gemma):
    """Activations of about unit size everywhere, norms and biases far enough from neutral that a missing one shows."""
    for name, parameter in model.named_parameters():
        draw = torch.randn(parameter.shape, generator=generator)
        if "norm" in name:
            value = 0.3 * draw + (0.0 if gemma else 1.0)
        elif name.endswith("bias"):
            value = 0.5 * draw
        elif "embed_tokens" in name:
            value = draw / parameter.shape[1] ** 0.5
        else:
            value = 1.3 * draw / parameter.shape[1] ** 0.5
        parameter.data.copy_(value)


def build(name, folder):
    kind, changes = MODELS[name]
    generator = torch.Generator().manual_seed(SEED + sum(name.encode()))
    settings = {key: value for key, value in {**BASE, **changes}.items() if value is not None or key == "sliding_window"}
    config_class = "Gemma3TextConfig" if kind == "Gemma3" else kind + "Config"
    config = getattr(transformers, config_class)(**settings)
    model = getattr(transformers, kind + "ForCausalLM")(config)
    randomize(model, generator, kind.startswith("Gemma"))
    model.to(torch.bfloat16 if name.endswith("_bf16") else torch.float32).save_pretrained(folder)
    # Read back, so that the weights are those of the file and the angles of RoPE were not rounded with them.
    model = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.randint(3, config.vocab_size, (1, NUM_TOKENS), generator=generator)
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0]
    save_file({"ids": ids[0].to(torch.int32), "logits": logits.float().contiguous()}, folder / "reference.safetensors")
    print(f"{name}: logits deviate by {logits.std():.3f}, largest {logits.abs().max():.3f}")


def main():
    out = pathlib.Path(sys.argv[1])
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    for name in sys.argv[2:] or MODELS:
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        build(name, folder)


if __name__ == "__main__":
    main()
