#include "sys/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace quernel::sys {

namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free, "the flag is set inside a signal handler");

extern "C" void on_signal(int number) {
  if (requested.exchange(true)) ::_exit(128 + number);  // the second signal: the user does not want to wait
}

}  // namespace

void install_interrupt_handlers() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

bool interrupt_requested() { return requested.load(); }
void request_interrupt() { requested.store(true); }
void clear_interrupt() { requested.store(false); }

Status check_interrupt() {
  if (!interrupt_requested()) return {};
  return Error(Fault::interrupted, "stopped on request");
}

}  // namespace quernel::sys
