// A tiny model behind a scheduler, and what it answered.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/int_model.h"
#include "runtime/tiny_model.h"
#include "serve/scheduler.h"
#include "support/temp_folder.h"
#include "text/small_vocabulary.h"

namespace quernel::test {

inline constexpr std::int64_t kVocab = 257;  // the bytes and "ab"

struct Answer {
  std::vector<std::int32_t> tokens;
  std::string text;
  std::optional<serve::EndReason> end;
  serve::Usage usage;
  std::optional<Error> error{};
};

struct Serving {
  TempFolder folder;
  sys::ThreadPool pool;
  std::unique_ptr<model::Checkpoint> checkpoint;
  std::unique_ptr<engine::IntModel> model;
  text::Tokenizer tokenizer;

  explicit Serving(const engine::EngineOptions& options = {}, int threads = 2, TinyModel tiny = tiny_llama())
      : pool(threads), tokenizer(text::Tokenizer::create(byte_vocabulary({{"a", "b"}})).value()) {
    tiny.vocab = kVocab;
    tiny.head_dim = tiny.rotary_dim = 16;
    tiny.draw(7);
    tiny.write(folder.path());
    checkpoint = std::make_unique<model::Checkpoint>(std::move(model::Checkpoint::open(folder.path())).value());
    model = std::make_unique<engine::IntModel>(engine::IntModel::load(*checkpoint, pool, options).value());
  }

  std::unique_ptr<serve::Scheduler> scheduler(const serve::SchedulerOptions& options = {}) {
    return serve::Scheduler::make(*model, pool, &tokenizer, options).value();
  }
};

// Adds the request; what it is told goes to `answer`, which outlives it.
inline serve::RequestId ask(serve::Scheduler& scheduler, serve::Request request, Answer& answer) {
  request.on_event = [&answer, on_event = request.on_event](const serve::Event& event) {
    EXPECT_FALSE(answer.end.has_value()) << "an event after the end";
    if (event.token) answer.tokens.push_back(*event.token);
    answer.text += event.text;
    answer.end = event.end;
    if (event.end) answer.usage = event.usage;
    if (event.error) answer.error = event.error;
    return !on_event || on_event(event);
  };
  const auto id = scheduler.submit(std::move(request));
  EXPECT_TRUE(id.ok()) << (id.ok() ? "" : to_string(id.error()));
  return id.ok() ? id.value() : 0;
}

inline std::vector<Answer> answer_all(serve::Scheduler& scheduler, const std::vector<serve::Request>& requests) {
  std::vector<Answer> answers(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) ask(scheduler, requests[i], answers[i]);
  scheduler.run_until_idle();
  for (const Answer& answer : answers) EXPECT_TRUE(answer.end.has_value());
  return answers;
}

// Prompts of 2 to 80 tokens, some with a common beginning; greedy and sampled, with and without penalties.
inline std::vector<serve::Request> mixed_requests(std::size_t count) {
  const std::vector<std::int32_t> beginning = random_tokens(40, kVocab, 99);
  std::vector<serve::Request> requests(count);
  for (std::size_t i = 0; i < count; ++i) {
    serve::Request& request = requests[i];
    if (i % 3 == 0) request.prompt = beginning;
    const std::vector<std::int32_t> own = random_tokens(static_cast<std::int64_t>(2 + i * 7 % 40), kVocab, i);
    request.prompt.insert(request.prompt.end(), own.begin(), own.end());
    request.max_tokens = static_cast<std::int64_t>(5 + i * 5 % 37);
    if (i % 2 == 1) {
      request.sampler.temperature = 0.9;
      request.sampler.top_p = 0.95;
      request.sampler.seed = i;
      if (i % 3 == 2)
        request.sampler.top_k =
            static_cast<std::int64_t>(3 + i);  // alone: from its best tokens, among others from logits
    }
    if (i % 4 == 2) request.sampler.repetition_penalty = 1.2;
    if (i % 5 == 3) request.sampler.dry.multiplier = 0.8;
  }
  return requests;
}

// Each request by itself, in a scheduler of its own.
inline std::vector<Answer> answers_alone(Serving& serving, const std::vector<serve::Request>& requests) {
  std::vector<Answer> answers;
  for (const serve::Request& request : requests) {
    const auto scheduler = serving.scheduler({.max_sequences = 1, .shelf_size = 0});
    answers.push_back(answer_all(*scheduler, {request}).front());
  }
  return answers;
}

inline void expect_same_tokens(const std::vector<Answer>& found, const std::vector<Answer>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].tokens, expected[i].tokens) << "request " << i;
    EXPECT_EQ(found[i].text, expected[i].text) << "request " << i;
    EXPECT_EQ(found[i].end, expected[i].end) << "request " << i;
  }
}

}  // namespace quernel::test
