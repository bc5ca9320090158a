// The options of quantization methods by name: how text becomes GridSpec and SolverSpec, and back.
#pragma once

#include <string>
#include <vector>

#include "quant/method.h"

namespace quernel::quant {

std::vector<MethodOption> grid_options();          // of every method
std::vector<MethodOption> hqq_options();           // of half-quadratic quantization
std::vector<MethodOption> solver_options();        // of methods with error feedback
std::vector<MethodOption> target_options();        // of those that can make up for drifted inputs
std::vector<MethodOption> refine_options();        // of those whose result refine() takes
std::vector<MethodOption> super_weight_options();  // of those written with a place for single weights

// The value an option has in a specification, as set_option() reads it. The name is one of the rows above.
std::string get_option(const std::string& name, const GridSpec& grid, const SolverSpec& solver);

}  // namespace quernel::quant
