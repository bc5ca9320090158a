// The small parts of tokenizer.json (normalizer, pre_tokenizer, post_processor, decoder) -> steps of a Vocabulary.
//
// Errors   unsupported, naming the component and what is known; corrupt for fields that are missing or of a wrong type
// Threads  pure functions
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::text {

// `component` is an object with a "type", or null: nothing to do.
Status read_normalizer(const Json& component, Vocabulary& out);
// Sets `out.model` too: byte_level where a ByteLevel is part of it.
Status read_pre_tokenizer(const Json& component, Vocabulary& out);
Status read_decoder(const Json& component, Vocabulary& out);
Status read_post_processor(const Json& component, Vocabulary& out);

}  // namespace quernel::text
