#include "sys/sound_variant.h"

#include <mutex>

namespace quernel::sys {
namespace {

struct Distrusted {
  std::mutex mutex;
  std::vector<std::string> kernels;
};

Distrusted& distrusted() {
  static Distrusted all;
  return all;
}

}  // namespace

void distrust(const std::string& kernel) {
  const std::lock_guard lock(distrusted().mutex);
  distrusted().kernels.push_back(kernel);
}

std::vector<std::string> distrusted_kernels() {
  const std::lock_guard lock(distrusted().mutex);
  return distrusted().kernels;
}

}  // namespace quernel::sys
