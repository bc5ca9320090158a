// Normalizers: NFC, Prepend, Replace, in the order of the vocabulary.
//
// Exact    NFC of utf8proc (Unicode 15.0); bytes that are not UTF-8 stay as they are
// Cost     a text that no step changes is not copied
// Threads  const functions from any thread
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/regex.h"
#include "text/vocabulary.h"

namespace quernel::text {

class Normalizer {
 public:
  // Errors: unsupported (regular expression), limit_exceeded
  static Result<Normalizer> create(const std::vector<NormalizeStep>& steps);

  // The normalized text: `text` itself or in `storage`.
  [[nodiscard]] std::string_view normalize(std::string_view text, std::string& storage) const;

 private:
  struct Step {
    NormalizeKind kind = NormalizeKind::nfc;
    std::string pattern;
    std::string content;
    std::vector<Regex> regex;  // one for replace_regex
  };
  std::vector<Step> steps_;
};

// Every occurrence of pattern (not empty) in text replaced, from the left.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

}  // namespace quernel::text
