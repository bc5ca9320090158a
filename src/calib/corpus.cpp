#include "calib/corpus.h"

#include <array>

namespace quernel::calib {

// Defined by the file that embed.cmake makes from corpus/mixed_v1.txt.
extern const unsigned char kMixedV1Bytes[];
extern const std::size_t kMixedV1Size;

std::span<const BuiltinCorpus> builtin_corpora() {
  static const std::array<BuiltinCorpus, 1> corpora{
      BuiltinCorpus{kDefaultCorpus, {reinterpret_cast<const char*>(kMixedV1Bytes), kMixedV1Size}}};
  return corpora;
}

bool is_builtin_name(std::string_view name) { return name.starts_with("builtin:"); }

Result<BuiltinCorpus> find_builtin(std::string_view name) {
  std::string known;
  for (const BuiltinCorpus& corpus : builtin_corpora()) {
    if (corpus.name == name) return corpus;
    known += (known.empty() ? "" : ", ") + std::string(corpus.name);
  }
  Error error(Fault::not_found, "there is no built-in corpus of this name");
  return std::move(error).expect(known, std::string(name));
}

}  // namespace quernel::calib
