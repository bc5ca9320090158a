#include <cstdlib>
#include <string>

#include "api/failure.h"
#include "quernel/quernel.h"
#include "sys/cpu.h"
#include "sys/interrupt.h"
#include "tensor/linalg.h"

namespace quernel::api {

std::string cache_folder() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const std::string own = variable("QUERNEL_CACHE"); !own.empty()) return own;
  if (const std::string base = variable("XDG_CACHE_HOME"); !base.empty()) return base + "/quernel";
  return variable("HOME") + "/.cache/quernel";
}

void check_environment() {
  static_cast<void>(take(sys::usable_isas()));
  take(blas_available());
}

void install_signal_handlers() { sys::install_interrupt_handlers(); }

void stop() { sys::request_interrupt(); }

}  // namespace quernel::api
