#include "text/tokenizer.h"

#include "api/failure.h"
#include "model/tokenizer_source.h"
#include "quernel/quernel.h"

namespace quernel::api {

struct Tokenizer::State {
  text::Tokenizer tokenizer;
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

Tokenizer Tokenizer::open(const std::string& path) {
  return Tokenizer(std::make_unique<State>(State{take(model::load_tokenizer(path))}));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  return state_->tokenizer.encode(text, {.add_special = add_special});
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  return state_->tokenizer.decode(ids, skip_special);
}

}  // namespace quernel::api
