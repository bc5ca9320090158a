#include "eval/report.h"

#include <gtest/gtest.h>

namespace quernel::eval {
namespace {

PerplexityResult perplexity_result() {
  PerplexityResult result;
  result.perplexity = 21.5;
  result.standard_error = 0.25;
  result.mean_nll = 3.0681;
  result.scored_tokens = 4094;
  result.text_tokens = 5000;
  result.plan.context = 2048;
  result.plan.count = 2;
  result.seconds = 1.5;
  return result;
}

KldResult kld_result() {
  KldResult result;
  result.mean = 0.125;
  result.standard_error = 0.01;
  result.median = 0.05;
  result.p90 = 0.3;
  result.p99 = 1.5;
  result.p999 = 2.5;
  result.max = 4.0;
  result.top1 = 0.8125;
  result.scored_tokens = 510;
  result.text_tokens = 1100;
  result.plan.context = 512;
  result.plan.count = 2;
  result.cache_used = true;
  result.cache_step_max = 6e-4;
  return result;
}

std::vector<TaskResult> task_results() {
  TaskResult piqa;
  piqa.name = "piqa";
  piqa.accuracy = {0.75, 0.25};
  piqa.normalized = Mean{0.5, 0.125};
  piqa.gold_nll = {30.5, 2.0};
  piqa.num_items = 4;
  piqa.seconds = 1.5;
  TaskResult lambada;
  lambada.name = "lambada";
  lambada.accuracy = {0.25, 0.25};
  lambada.gold_nll = {0.0, 0.5};
  lambada.num_items = 4;
  lambada.num_cut = 1;
  lambada.seconds = 0.5;
  return {piqa, lambada};
}

TEST(EvalReport, TasksJson) {
  EXPECT_EQ(dump_json(to_json(task_results())),
            R"({"tasks":{"piqa":{"acc":0.75,"acc_se":0.25,"acc_norm":0.5,"acc_norm_se":0.125,"gold_nll":30.5,)"
            R"("gold_nll_se":2.0,"n":4,"cut":0,"seconds":1.5},"lambada":{"acc":0.25,"acc_se":0.25,"ppl":1.0,)"
            R"("gold_nll":0.0,"gold_nll_se":0.5,"n":4,"cut":1,"seconds":0.5}},"average":0.5,"average_of":"acc",)"
            R"("seconds":2.0})");
}

TEST(EvalReport, TasksTable) {
  const std::string table = to_table(task_results());
  EXPECT_NE(table.find("0.7500 +- 0.2500"), std::string::npos) << table;
  EXPECT_NE(table.find("lambada perplexity     1.0000"), std::string::npos) << table;
  EXPECT_NE(table.find("average acc            0.5000"), std::string::npos) << table;
}

TEST(EvalReport, PerplexityJson) {
  EXPECT_EQ(dump_json(to_json(perplexity_result())),
            R"({"ppl":21.5,"stderr":0.25,"tokens":4094,"windows":2,"ctx":2048,"convention":"gptq","nll":3.0681,)"
            R"("text_tokens":5000,"seconds":1.5})");
}

TEST(EvalReport, KldJsonHasTheSchemasKeys) {
  const Json json = to_json(kld_result());
  EXPECT_EQ(dump_json(json["kld"]),
            R"({"mean":0.125,"se":0.01,"median":0.05,"p90":0.3,"p99":1.5,"p999":2.5,"max":4.0})");
  EXPECT_EQ(json["top1"], 0.8125);
  EXPECT_EQ(json["cache"]["used"], true);
  for (const char* key : {"dp_mean", "dp_rms", "ppl", "ppl_ref", "tokens", "windows", "ctx", "seconds"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
}

TEST(EvalReport, TablesShowValueAndError) {
  const std::string ppl = to_table(perplexity_result());
  EXPECT_NE(ppl.find("21.5000 +- 0.2500"), std::string::npos) << ppl;
  EXPECT_NE(ppl.find("2 windows of 2048, 4094 tokens scored of 5000"), std::string::npos) << ppl;
  const std::string kld = to_table(kld_result());
  EXPECT_NE(kld.find("0.125000 +- 0.010000"), std::string::npos) << kld;
  EXPECT_NE(kld.find("81.25"), std::string::npos) << kld;
  EXPECT_NE(kld.find("from the cache, 16 bits, within 3.0e-04 nats"), std::string::npos) << kld;
}

}  // namespace
}  // namespace quernel::eval
