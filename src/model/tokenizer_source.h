// The tokenizer that belongs to a model, wherever it is kept: tokenizer.json of a folder, or the metadata of a GGUF
// file.
//
// Errors   not_found (no tokenizer.json), and those of text/tokenizer_json.h and text/gguf_vocabulary.h
// Threads  pure functions
#pragma once

#include <string>

#include "base/result.h"
#include "model/checkpoint.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace quernel::model {

Result<text::Tokenizer> load_tokenizer(const Checkpoint& checkpoint);
// A model folder, a tokenizer.json, or a GGUF file (a vocabulary without tensors will do).
Result<text::Tokenizer> load_tokenizer(const std::string& path);

Result<text::Vocabulary> gguf_vocabulary(const io::GgufFile& file);

}  // namespace quernel::model
