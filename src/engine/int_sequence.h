// One sequence in the integer runtime, kept from call to call: what a new prompt has in common with it is not computed again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/int_model.h"
#include "runtime/generate.h"

namespace quernel::engine {

class IntSequence final : public runtime::TokenSequence {
 public:
  explicit IntSequence(IntModel& model);

  [[nodiscard]] const model::ModelConfig& config() const override { return model_.config(); }
  Status append(std::span<const std::int32_t> tokens, std::span<float> logits) override;
  // Cuts the sequence to what it has in common with `tokens`, and leaves at least the last of them to be appended; returns how many
  // tokens remain. Pages of 4 bits are not cut into: the cut goes back to the end of a page.
  Result<std::int64_t> keep_common(std::span<const std::int32_t> tokens);

 private:
  IntModel& model_;
  PagedCache cache_;
  std::vector<std::int32_t> tokens_;
  Matrix hidden_;
};

}  // namespace quernel::engine
