// How the float runtime multiplies.
#pragma once

namespace quernel::runtime {

enum class Precision {
  f32,   // fp32 inputs, fp32 sums
  bf16,  // inputs rounded to bf16, fp32 sums, where the CPU does that faster (AMX, some AVX-512 BF16); f32 elsewhere
};

// The precision that is really used on this CPU.
Precision effective(Precision wanted);
const char* to_string(Precision precision);

}  // namespace quernel::runtime
