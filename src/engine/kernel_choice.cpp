#include "engine/kernel_choice.h"

#include "kernels/hadamard/table.h"
#include "kernels/int_rows/table.h"
#include "kernels/kv_attention/table.h"
#include "kernels/packed/table.h"
#include "sys/sound_variant.h"

namespace quernel::engine {

Kernels chosen_kernels() {
  Kernels kernels;
  kernels.used = {kernels::packed::pick().name, kernels::int_rows::pick().name, kernels::kv_attention::pick().name,
                  kernels::hadamard::pick().name};
  kernels.distrusted = sys::distrusted_kernels();
  return kernels;
}

}  // namespace quernel::engine
