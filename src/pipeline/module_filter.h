// Which modules a list of regular expressions names (Perl syntax, matched anywhere in the module name).
//
// Errors   usage: a pattern that does not compile, with the place
// Limits   matching is bounded (docs/limits.md), so a hostile pattern cannot run away; one that hits the bound does not match
// Threads  const functions from any thread
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace quernel::pipeline {

class ModuleFilter {
 public:
  static Result<ModuleFilter> create(const std::vector<std::string>& patterns);
  ~ModuleFilter();
  ModuleFilter(ModuleFilter&&) noexcept;
  ModuleFilter& operator=(ModuleFilter&&) noexcept;

  [[nodiscard]] bool matches(const std::string& name) const;

 private:
  struct State;
  explicit ModuleFilter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quernel::pipeline
