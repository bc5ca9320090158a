// Is a vocabulary whole? What Tokenizer::create asks before it builds anything from it.
//
// Errors   corrupt, limit_exceeded, naming the field
// Threads  pure function
#pragma once

#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::text {

Status check_vocabulary(const Vocabulary& vocabulary);

}  // namespace quernel::text
