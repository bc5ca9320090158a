#include "model/tokenizer_source.h"

#include <filesystem>

#include "io/gguf.h"
#include "sys/mapped_file.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer_json.h"

namespace quernel::model {

namespace {

constexpr const char* kTokenizerName = "tokenizer.json";

Result<text::Tokenizer> from_map(const sys::MappedFile& file) {
  return text::Tokenizer::from_json(file.text(), file.path());
}

Result<text::Tokenizer> from_folder(const std::string& folder) {
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::path(folder) / kTokenizerName, ignored)) {
    Error error(Fault::not_found, "folder has no tokenizer.json");
    error.hint = "tokenizer.model alone is not read; Transformers writes tokenizer.json when it saves the tokenizer";
    return std::move(error).in_file(folder);
  }
  QUERNEL_TRY(const sys::MappedFile file, sys::MappedFile::open_contained(folder, kTokenizerName));
  return from_map(file);
}

Result<text::Tokenizer> from_gguf(const io::GgufFile& file) {
  QUERNEL_TRY(text::Vocabulary vocabulary, gguf_vocabulary(file));
  Result<text::Tokenizer> tokenizer = text::Tokenizer::create(std::move(vocabulary));
  if (!tokenizer.ok()) return std::move(tokenizer).error().in_file(file.path());
  return tokenizer;
}

template <class T>
Status read_ints(const io::GgufMetadata& metadata, const std::string& key, std::vector<T>& out) {
  if (!metadata.has(key)) return ok_status();
  QUERNEL_TRY(const std::vector<std::int64_t> values, metadata.integers(key));
  out.reserve(values.size());
  for (const std::int64_t value : values) {
    if (!std::in_range<T>(value)) return Error(Fault::corrupt, "number out of range").in_field(key);
    out.push_back(static_cast<T>(value));
  }
  return ok_status();
}

Status read_strings(const io::GgufMetadata& metadata, const std::string& key, std::vector<std::string>& out) {
  if (!metadata.has(key)) return ok_status();
  QUERNEL_TRY(const std::vector<std::string_view> values, metadata.strings(key));
  out.assign(values.begin(), values.end());
  return ok_status();
}

Status read_id(const io::GgufMetadata& metadata, const std::string& key, std::optional<std::int64_t>& out) {
  if (!metadata.has(key)) return ok_status();
  QUERNEL_TRY(const std::int64_t id, metadata.i64(key));
  out = id;
  return ok_status();
}

Status read_flag(const io::GgufMetadata& metadata, const std::string& key, std::optional<bool>& out) {
  if (!metadata.has(key)) return ok_status();
  QUERNEL_TRY(const bool flag, metadata.boolean(key));
  out = flag;
  return ok_status();
}

Status read_tables(const io::GgufMetadata& metadata, text::GgufTokenizerFields& fields) {
  const std::string prefix = "tokenizer.ggml.";
  QUERNEL_TRY_STATUS(read_strings(metadata, prefix + "tokens", fields.tokens));
  QUERNEL_TRY_STATUS(read_strings(metadata, prefix + "merges", fields.merges));
  QUERNEL_TRY_STATUS(read_ints(metadata, prefix + "token_type", fields.token_types));
  if (metadata.has(prefix + "scores")) {
    QUERNEL_TRY(fields.scores, metadata.floats(prefix + "scores"));
  }
  return ok_status();
}

Result<text::GgufTokenizerFields> read_fields(const io::GgufMetadata& metadata) {
  const std::string prefix = "tokenizer.ggml.";
  text::GgufTokenizerFields fields;
  QUERNEL_TRY(fields.model, metadata.string(prefix + "model"));
  QUERNEL_TRY(fields.pre, metadata.string_or(prefix + "pre", ""));
  QUERNEL_TRY_STATUS(read_tables(metadata, fields));
  QUERNEL_TRY_STATUS(read_id(metadata, prefix + "bos_token_id", fields.bos));
  QUERNEL_TRY_STATUS(read_id(metadata, prefix + "eos_token_id", fields.eos));
  QUERNEL_TRY_STATUS(read_id(metadata, prefix + "unknown_token_id", fields.unk));
  QUERNEL_TRY_STATUS(read_id(metadata, prefix + "padding_token_id", fields.pad));
  QUERNEL_TRY_STATUS(read_flag(metadata, prefix + "add_bos_token", fields.add_bos));
  QUERNEL_TRY_STATUS(read_flag(metadata, prefix + "add_eos_token", fields.add_eos));
  QUERNEL_TRY_STATUS(read_flag(metadata, prefix + "add_space_prefix", fields.add_space_prefix));
  return fields;
}

}  // namespace

Result<text::Vocabulary> gguf_vocabulary(const io::GgufFile& file) {
  Result<text::GgufTokenizerFields> fields = read_fields(file.metadata());
  if (!fields.ok()) return std::move(fields).error().in_file(file.path());
  return text::vocabulary_from_gguf(std::move(*fields), file.path());
}

Result<text::Tokenizer> load_tokenizer(const Checkpoint& checkpoint) {
  if (checkpoint.gguf() != nullptr) return from_gguf(*checkpoint.gguf());
  return from_folder(checkpoint.path());
}

Result<text::Tokenizer> load_tokenizer(const std::string& path) {
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  if (!std::filesystem::exists(status)) return Error(Fault::not_found, "no such tokenizer").in_file(path);
  if (std::filesystem::is_directory(status)) return from_folder(path);
  if (path.ends_with(".json")) {
    QUERNEL_TRY(const sys::MappedFile file, sys::MappedFile::open(path, sys::Access::sequential));
    return from_map(file);
  }
  QUERNEL_TRY(const io::GgufFile file, io::GgufFile::open(path));
  return from_gguf(file);
}

}  // namespace quernel::model
