// The steps of a vocabulary as components of tokenizer.json.
//
// Errors   unsupported: a combination of steps that has no component
// Threads  pure functions
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::model {

Json normalizer_json(const text::Vocabulary& vocabulary);
Result<Json> pre_tokenizer_json(const text::Vocabulary& vocabulary);
Json decoder_json(const text::Vocabulary& vocabulary);
Json post_processor_json(const text::Vocabulary& vocabulary);  // the tokens added before and after a text

}  // namespace quernel::model
