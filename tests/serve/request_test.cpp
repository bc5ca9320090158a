#include "serve/request.h"

#include "serve/serving.h"

namespace quernel::serve {
namespace {

TEST(Request, EachRefusedOneSaysWhy) {
  test::Serving serving({.kv_budget = 20000});
  const auto scheduler = serving.scheduler();
  const std::int64_t context = serving.model->config().max_positions;
  const std::int64_t most = serving.model->pages().most_tokens();
  ASSERT_LT(most, context);
  const auto refuses = [&](const Request& request, Fault fault, const std::string& says) {
    const auto id = scheduler->submit(request);
    ASSERT_FALSE(id.ok()) << says;
    EXPECT_EQ(id.error().fault, fault) << says;
    EXPECT_NE(to_string(id.error()).find(says), std::string::npos) << to_string(id.error());
  };
  const auto bad = Fault::invalid_argument;
  refuses({}, bad, "prompt has no tokens");
  refuses({.prompt = {0, 257}}, bad, "257");
  refuses({.prompt = {-1}}, bad, "-1");
  refuses({.prompt = {0}, .max_tokens = -1}, bad, "max_tokens");
  refuses({.prompt = {0}, .stop_texts = {""}}, bad, "empty");
  refuses({.prompt = {0}, .stop_texts = {"\x80"}}, bad, "UTF-8");
  refuses({.prompt = {0}, .max_tokens = 1, .sampler = {.temperature = -1}}, bad, "temperature");
  refuses({.prompt = {0}, .max_tokens = 1, .sampler = {.logit_bias = {{257, 1.0}}}}, bad, "257");
  refuses({.prompt = {0}, .max_tokens = context}, Fault::limit_exceeded, std::to_string(context));
  refuses({.prompt = {0}, .max_tokens = most}, Fault::limit_exceeded, "--kv-budget");
  Request fits{.prompt = {0}, .max_tokens = most - 1};
  test::Answer answer;
  test::ask(*scheduler, fits, answer);
  scheduler->run_until_idle();
  EXPECT_EQ(answer.end, EndReason::length);
  EXPECT_EQ(answer.tokens.size(), static_cast<std::size_t>(most - 1));
}

TEST(Request, StopTextsNeedATokenizer) {
  test::Serving serving;
  const auto scheduler = Scheduler::make(*serving.model, serving.pool, nullptr, {}).value();
  EXPECT_FALSE(scheduler->submit({.prompt = {0}, .stop_texts = {"a"}}).ok());
  EXPECT_TRUE(scheduler->submit({.prompt = {0}, .max_tokens = 2}).ok());
  scheduler->run_until_idle();
}

TEST(Request, SchedulersThatCannotBeAreRefused) {
  test::Serving serving;
  for (const SchedulerOptions& options :
       {SchedulerOptions{.max_sequences = 0}, SchedulerOptions{.max_sequences = 65}, SchedulerOptions{.pass_tokens = 0},
        SchedulerOptions{.pass_tokens = 513}, SchedulerOptions{.shelf_size = -1}, SchedulerOptions{.verify_rows = 0},
        SchedulerOptions{.lookup = {.max_draft = -1}}}) {
    const auto made = Scheduler::make(*serving.model, serving.pool, nullptr, options);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().fault, Fault::invalid_argument);
  }
}

}  // namespace
}  // namespace quernel::serve
