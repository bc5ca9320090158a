// Where tests find texts, vocabularies and models that do not live in the repository.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace quernel::test {

// A file of the shared data folder: $QUERNEL_SHARED/data, else ../shared/data beside the checkout. Nothing where it is
// absent: the test then skips and says so.
inline std::optional<std::string> shared_data(const std::string& name) {
  const char* set = std::getenv("QUERNEL_SHARED");
  const std::filesystem::path root =
      set != nullptr ? std::filesystem::path(set) : std::filesystem::path(QUERNEL_SOURCE_DIR) / ".." / "shared";
  const std::filesystem::path path = root / "data" / name;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return path.string();
}

// The real model's GGUF that scripts/fetch_model leaves in the cache: $QUERNEL_TEST_MODEL, set by `make test`.
inline std::optional<std::string> test_model() {
  const char* set = std::getenv("QUERNEL_TEST_MODEL");
  if (set == nullptr || !std::filesystem::exists(set)) return std::nullopt;
  return std::string(set);
}

}  // namespace quernel::test
