#!/usr/bin/env python3
"""Write the configurations that tests/model/config_json_test.cpp reads, with what Transformers itself makes of each.

usage: make_configs.py            (needs transformers 5.23 and torch; writes beside itself)

Every NAME.json holds {"config": a config.json as the library writes it, "expected": facts read from the model object built from
it}: names and shapes of tensors, scales, windows and rotations by layer.
"""
import json
import os
import tempfile

import torch
import transformers as tf

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL = dict(vocab_size=96, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=512, bos_token_id=1, eos_token_id=2, pad_token_id=0)
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)
YARN = dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0, original_max_position_embeddings=128)

CASES = {
    "llama": lambda: tf.LlamaConfig(**SMALL),
    "llama_bias": lambda: tf.LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, head_dim=16),
    "llama_3": lambda: tf.LlamaConfig(**{**SMALL, "eos_token_id": [2, 3, 4]}, rope_parameters=dict(LLAMA3)),
    "llama_linear": lambda: tf.LlamaConfig(**SMALL, rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0)),
    "mistral": lambda: tf.MistralConfig(**SMALL, sliding_window=7, head_dim=12),
    "mistral_full": lambda: tf.MistralConfig(**SMALL, sliding_window=None),
    "qwen2": lambda: tf.Qwen2Config(**SMALL),
    "qwen2_window": lambda: tf.Qwen2Config(**SMALL, use_sliding_window=True, sliding_window=9, max_window_layers=3,
                                           rope_parameters=dict(YARN)),
    "qwen3": lambda: tf.Qwen3Config(**SMALL, head_dim=24, tie_word_embeddings=True),
    "qwen3_yarn": lambda: tf.Qwen3Config(**SMALL, head_dim=16, rope_parameters=dict(YARN, beta_fast=16.0, truncate=False)),
    "gemma2": lambda: tf.Gemma2Config(**SMALL, head_dim=16, sliding_window=5, query_pre_attn_scalar=24),
    "gemma3": lambda: tf.Gemma3TextConfig(**{**SMALL, "num_hidden_layers": 7}, head_dim=16, sliding_window=6, query_pre_attn_scalar=20),
    "phi3": lambda: tf.Phi3Config(**SMALL),
    "phi3_partial": lambda: tf.Phi3Config(**{**SMALL, "hidden_size": 64}, rope_parameters=dict(
        rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.75), sliding_window=11),
    "smollm3": lambda: tf.SmolLM3Config(**SMALL),
    "smollm3_window": lambda: tf.SmolLM3Config(**SMALL, no_rope_layers=[1, 0, 1, 0], use_sliding_window=True, sliding_window=8),
    "olmo2": lambda: tf.Olmo2Config(**SMALL),
    "granite": lambda: tf.GraniteConfig(**SMALL, embedding_multiplier=12.0, attention_multiplier=0.015625, residual_multiplier=0.22,
                                        logits_scaling=8.0),
}


def rotations(model):
    """Inverse frequencies and the factor on cos and sin, for full attention and for sliding layers where they differ."""
    rotary = model.model.rotary_emb
    if hasattr(rotary, "inv_freq"):
        return {"full": [rotary.inv_freq.double().tolist(), float(rotary.attention_scaling)]}
    return {name: [getattr(rotary, f"{kind}_inv_freq").double().tolist(), float(getattr(rotary, f"{kind}_attention_scaling"))]
            for name, kind in (("full", "full_attention"), ("sliding", "sliding_attention"))}


def facts(model):
    config, layers = model.config, model.model.layers
    per_layer_window = [getattr(layer.self_attn, "sliding_window", None) for layer in layers]
    if config.model_type in ("mistral", "phi3"):
        per_layer_window = [config.sliding_window] * len(layers)
    eos = config.eos_token_id
    return {
        "tensors": {name: list(value.shape) for name, value in model.state_dict().items()
                    if not (name == "lm_head.weight" and config.tie_word_embeddings)},
        "tied": bool(config.tie_word_embeddings),
        "attention_scale": float(layers[0].self_attn.scaling),
        "windows": per_layer_window,
        "rotates": [bool(getattr(layer.self_attn, "use_rope", True)) for layer in layers],
        "attention_softcap": float(getattr(config, "attn_logit_softcapping", None) or 0.0),
        "logit_softcap": float(getattr(config, "final_logit_softcapping", None) or 0.0),
        "embedding_scale": float(getattr(model.model.embed_tokens, "scalar_embed_scale", getattr(config, "embedding_multiplier", 1.0))),
        "residual_scale": float(getattr(config, "residual_multiplier", 1.0)),
        "logit_scale": 1.0 / float(getattr(config, "logits_scaling", 1.0)),
        "eps": config.rms_norm_eps,
        "activation": getattr(config, "hidden_activation", None) or config.hidden_act,
        "eos": eos if isinstance(eos, list) else [eos],
        "rope": rotations(model),
    }


def main():
    for name, make in CASES.items():
        torch.manual_seed(1)
        model = tf.AutoModelForCausalLM.from_config(make(), dtype=torch.float32)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            with open(os.path.join(folder, "config.json")) as f:
                config = json.load(f)
        with open(os.path.join(HERE, name + ".json"), "w") as f:
            json.dump({"config": config, "expected": facts(model)}, f, separators=(",", ":"))
            f.write("\n")
        print(name)


if __name__ == "__main__":
    main()
