// The functions behind the rows of registry.cpp, and what they share.
#pragma once

#include <optional>
#include <string>

#include "codec/integer_matrix.h"
#include "quant/method.h"
#include "sys/thread_pool.h"

namespace quernel::quant {

Result<MethodOutcome> run_rtn(const MethodInput& input);
Result<MethodOutcome> run_hqq(const MethodInput& input);
Result<MethodOutcome> run_awq(const MethodInput& input);
Result<MethodOutcome> run_gptq(const MethodInput& input);
Result<MethodOutcome> run_qoq(const MethodInput& input);

// Specification sound, weight finite, statistics of the weight's width. Errors: invalid_argument, naming the entry.
Status check_input(const MethodInput& input);

// Rounding without error feedback. fallback: reason, where another method asks for it.
Result<MethodOutcome> round_to_nearest(const MethodInput& input, std::optional<std::string> fallback);

// Calls the method with the Hessian that came with the input, else with one made of its statistics, which must be there.
using HessianMethod = Result<MethodOutcome> (*)(const MethodInput& input, const PreparedHessian& prepared);
Result<MethodOutcome> with_hessian(const MethodInput& input, HessianMethod method);

// As input.solver.refine says, towards `target` [rows, cols]; nothing where it asks for no rounds.
void refine_solved(const MethodInput& input, const PreparedHessian& prepared, ConstMatrixView target,
                   codec::IntegerMatrix& matrix, sys::ThreadPool& pool);

// A finished matrix with its losses, so that every method reports them alike.
MethodOutcome outcome_of(const MethodInput& input, codec::IntegerMatrix matrix, sys::ThreadPool& pool);

// The caller's pool, or one of a single thread where there is none.
class PoolOf {
 public:
  explicit PoolOf(const MethodInput& input) {
    if (input.pool == nullptr) own_.emplace(1);
    pool_ = input.pool == nullptr ? &*own_ : input.pool;
  }
  sys::ThreadPool& operator*() { return *pool_; }

 private:
  std::optional<sys::ThreadPool> own_;
  sys::ThreadPool* pool_ = nullptr;
};

}  // namespace quernel::quant
