// SIGINT and SIGTERM as a question that long work asks at safe points.
//
// The first signal sets the flag; work finishes the unit in hand, saves and returns Fault::interrupted. A second signal
// ends the process at once. Also ignores SIGPIPE and SIGXFSZ, whose default would end it without an error message.
#pragma once

#include "base/result.h"

namespace quernel::sys {

void install_interrupt_handlers();  // called once, by the command line
bool interrupt_requested();
void request_interrupt();  // as if a signal had come (tests, bindings)
void clear_interrupt();
Status check_interrupt();  // Fault::interrupted if requested

}  // namespace quernel::sys
