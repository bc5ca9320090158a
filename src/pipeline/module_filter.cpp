#include "pipeline/module_filter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

namespace quernel::pipeline {

namespace {

constexpr std::uint32_t kMatchLimit = 100'000;  // backtracking steps: module names are short

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

PCRE2_SPTR8 text_of(const std::string& text) { return reinterpret_cast<PCRE2_SPTR8>(text.data()); }

}  // namespace

struct ModuleFilter::State {
  std::vector<std::unique_ptr<pcre2_code, FreeCode>> patterns;
  std::unique_ptr<pcre2_match_context, FreeContext> context{pcre2_match_context_create(nullptr)};
};

ModuleFilter::ModuleFilter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ModuleFilter::~ModuleFilter() = default;
ModuleFilter::ModuleFilter(ModuleFilter&&) noexcept = default;
ModuleFilter& ModuleFilter::operator=(ModuleFilter&&) noexcept = default;

Result<ModuleFilter> ModuleFilter::create(const std::vector<std::string>& patterns) {
  auto state = std::make_unique<State>();
  pcre2_set_match_limit(state->context.get(), kMatchLimit);
  for (const std::string& pattern : patterns) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* compiled = pcre2_compile(text_of(pattern), pattern.size(), PCRE2_UTF, &code, &offset, nullptr);
    if (compiled == nullptr) {
      std::array<PCRE2_UCHAR8, 256> message{};
      pcre2_get_error_message(code, message.data(), message.size());
      return Error(Fault::usage, reinterpret_cast<const char*>(message.data()))
          .in_field("pattern '" + pattern + "'")
          .at(offset);
    }
    state->patterns.emplace_back(compiled);
  }
  return ModuleFilter(std::move(state));
}

bool ModuleFilter::matches(const std::string& name) const {
  for (const auto& pattern : state_->patterns) {
    const std::unique_ptr<pcre2_match_data, FreeData> data(
        pcre2_match_data_create_from_pattern(pattern.get(), nullptr));
    if (pcre2_match(pattern.get(), text_of(name), name.size(), 0, 0, data.get(), state_->context.get()) >= 0)
      return true;
  }
  return false;
}

}  // namespace quernel::pipeline
