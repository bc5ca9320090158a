// A small model that reads text, and the scores of its continuations computed plainly.
#pragma once

#include <string>
#include <vector>

#include "eval/continuation.h"
#include "eval/eval_fixture.h"
#include "text/small_vocabulary.h"

namespace quernel::eval {

// Bytes, and a few merges, one of them across a space.
inline text::Vocabulary task_vocabulary() {
  return test::byte_vocabulary({{"a", "b"}, {"\u0120", "a"}, {"\u0120", "ab"}, {"ab", "ab"}});
}

inline text::Tokenizer make_tokenizer(text::Vocabulary vocabulary) {
  auto made = text::Tokenizer::create(std::move(vocabulary));
  if (!made.ok()) ADD_FAILURE() << to_string(made.error());
  return std::move(made).value();
}

inline test::TinyModel task_model(std::uint64_t seed) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.vocab = static_cast<std::int64_t>(task_vocabulary().tokens.size());
  tiny.draw(seed);
  return tiny;
}

// Sum of log softmax over the scored tokens, and whether each is the likeliest, by the reference forward in double.
inline ContinuationScore plain_score(const test::TinyModel& tiny, const EncodedPair& pair) {
  const std::vector<std::int32_t> fed(pair.tokens.begin(), pair.tokens.end() - 1);
  const MatrixF64 log_p = plain_log_probabilities(tiny, fed);
  ContinuationScore score;
  score.greedy = true;
  for (std::int64_t at = pair.num_fed() - pair.num_scored; at < pair.num_fed(); ++at) {
    const std::int32_t target = pair.tokens[static_cast<std::size_t>(at + 1)];
    score.log_likelihood += log_p(at, target);
    for (std::int64_t other = 0; other < log_p.cols(); ++other)
      score.greedy = score.greedy && log_p(at, other) <= log_p(at, target);
  }
  return score;
}

}  // namespace quernel::eval
