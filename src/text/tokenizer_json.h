// tokenizer.json (Hugging Face tokenizers) -> Vocabulary.
//
// Known    models: BPE; normalizers: NFC, Prepend, Replace, Sequence; pre-tokenizers: ByteLevel, Split, Digits,
//          Metaspace, Sequence; post-processors: TemplateProcessing, ByteLevel, Sequence; decoders: ByteLevel, Replace,
//          ByteFallback, Fuse, Strip, Metaspace, Sequence. `truncation` and `padding` say how batches are made and are
//          not used.
// Errors   unsupported, naming the component; corrupt, with byte offset; limit_exceeded (text/limits.h)
// Cost     one pass without a tree of the whole file; no second copy of the tables
// Threads  pure function
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::text {

Result<Vocabulary> parse_tokenizer_json(std::string_view json, const std::string& file);

}  // namespace quernel::text
