#include "eval/sanity.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/sampler.h"
#include "sys/interrupt.h"
#include "text/utf8.h"

namespace quernel::eval {
namespace {

constexpr std::size_t kLongestPeriod = 16;
constexpr std::size_t kRepeats = 4;
constexpr std::size_t kShortestLoop = 12;  // tokens: "ha ha ha ha" alone is no loop
constexpr std::size_t kEarly = 4;

// One prompt on its way.
struct Sequence {
  runtime::KvCache cache;
  std::vector<std::int32_t> next;  // tokens that the next pass takes in
  std::size_t index = 0;           // of the answer
};

// All open sequences one pass further; hidden [sequences, width] receives the last row of each.
Status pass(const runtime::FloatModel& model, std::vector<Sequence>& open, Matrix& last) {
  std::vector<std::int32_t> tokens;
  runtime::SequenceBatch batch;
  for (Sequence& sequence : open) {
    runtime::SequenceSpan span;
    span.first_row = static_cast<std::int64_t>(tokens.size());
    span.num_tokens = static_cast<std::int64_t>(sequence.next.size());
    span.position = sequence.cache.length();
    span.cache = &sequence.cache;
    batch.push_back(span);
    tokens.insert(tokens.end(), sequence.next.begin(), sequence.next.end());
  }
  Matrix hidden(static_cast<std::int64_t>(tokens.size()), model.config().hidden_size);
  QUERNEL_TRY_STATUS(model.forward(tokens, batch, hidden));
  last = Matrix(static_cast<std::int64_t>(open.size()), hidden.cols());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto from = hidden.row(batch[i].first_row + batch[i].num_tokens - 1);
    std::copy(from.begin(), from.end(), last.row(static_cast<std::int64_t>(i)).begin());
  }
  return ok_status();
}

// Takes each sequence's likeliest token; those that end leave.
void choose(const runtime::FloatModel& model, std::int64_t max_tokens, const Matrix& logits,
            std::vector<Sequence>& open, std::vector<Answer>& answers) {
  const auto& stops = model.config().eos_token_ids;
  std::vector<Sequence> going_on;
  for (std::size_t i = 0; i < open.size(); ++i) {
    const std::int32_t token = runtime::argmax(logits.row(static_cast<std::int64_t>(i)));
    Answer& answer = answers[open[i].index];
    answer.stopped = std::find(stops.begin(), stops.end(), token) != stops.end();
    if (answer.stopped) continue;
    answer.tokens.push_back(token);
    if (std::cmp_greater_equal(answer.tokens.size(), max_tokens)) continue;
    open[i].next = {token};
    going_on.push_back(std::move(open[i]));
  }
  open = std::move(going_on);
}

Faults faults_of(std::span<const Answer> answers) {
  Faults faults;
  const double share = answers.empty() ? 0.0 : 1.0 / static_cast<double>(answers.size());
  for (const Answer& answer : answers) {
    faults.loop_share += loops(answer.tokens) ? share : 0.0;
    faults.early_end_share += answer.stopped && answer.tokens.size() < kEarly ? share : 0.0;
    faults.broken_share += is_broken_utf8(answer.text) ? share : 0.0;
  }
  return faults;
}

double same_start(const Answer& a, const Answer& b) {
  const std::size_t longest = std::max(a.tokens.size(), b.tokens.size());
  if (longest == 0) return 1.0;
  const auto [end, unused] = std::mismatch(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
  return static_cast<double>(end - a.tokens.begin()) / static_cast<double>(longest);
}

}  // namespace

Result<std::vector<Answer>> answer_prompts(const runtime::FloatModel& model, const text::Tokenizer& tokenizer,
                                           std::span<const char* const> prompts, std::int64_t max_tokens) {
  std::vector<Answer> answers(prompts.size());
  std::vector<Sequence> open;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Sequence& sequence = open.emplace_back();
    sequence.index = i;
    sequence.next = tokenizer.encode(prompts[i], {.add_special = true});
    if (sequence.next.empty()) sequence.next.push_back(0);  // a vocabulary that knows nothing of the prompt
    sequence.cache = model.make_cache(static_cast<std::int64_t>(sequence.next.size()) + max_tokens);
  }
  while (!open.empty()) {
    QUERNEL_TRY_STATUS(sys::check_interrupt());
    Matrix last;
    QUERNEL_TRY_STATUS(pass(model, open, last));
    Matrix logits(last.rows(), model.config().vocab_size);
    model.logits(last, logits);
    choose(model, max_tokens, logits, open, answers);
  }
  for (Answer& answer : answers) answer.text = tokenizer.decode(answer.tokens);
  return answers;
}

bool loops(std::span<const std::int32_t> tokens) {
  for (std::size_t period = 1; period <= kLongestPeriod; ++period) {
    const std::size_t length = std::max(period * kRepeats, kShortestLoop);
    if (tokens.size() < length) return false;
    const auto tail = tokens.last(length);
    if (std::equal(tail.begin() + static_cast<std::ptrdiff_t>(period), tail.end(), tail.begin())) return true;
  }
  return false;
}

bool is_broken_utf8(const std::string& text) {
  const char* end = text.data() + text.size() - text::incomplete_tail(text);
  for (const char* at = text.data(); at < end;) {
    const text::Decoded character = text::decode_utf8(at, end);
    if (!character.valid()) return true;
    at += character.length;
  }
  return false;
}

SanityVerdict judge(std::span<const Answer> source, std::span<const Answer> result, const SanityLimits& limits) {
  QUERNEL_CHECK(source.size() == result.size(), "answers to {} and {} prompts", source.size(), result.size());
  SanityVerdict verdict;
  verdict.source = faults_of(source);
  verdict.result = faults_of(result);
  for (std::size_t i = 0; i < source.size(); ++i) {
    verdict.same_first_tokens += same_start(source[i], result[i]) / static_cast<double>(source.size());
  }
  const auto refuse = [&verdict](const char* what, double of_source, double of_result, double borne) {
    if (of_result <= of_source + borne || !verdict.sane) return;
    verdict.sane = false;
    verdict.reason =
        fmt::format("{:.0f} % of the answers {}, of the source's {:.0f} %", 100 * of_result, what, 100 * of_source);
  };
  refuse("are not UTF-8", verdict.source.broken_share, verdict.result.broken_share, limits.more_broken);
  refuse("end at once", verdict.source.early_end_share, verdict.result.early_end_share, limits.more_early_ends);
  refuse("end in a loop", verdict.source.loop_share, verdict.result.loop_share, limits.more_loops);
  return verdict;
}

}  // namespace quernel::eval
