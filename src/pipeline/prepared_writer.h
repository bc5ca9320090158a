// A changed model as a plain Hugging Face folder: config.json, safetensors, tokenizer and side files.
//
// Types     modules that the job will quantize: F32. Everything that stays dense: the type that the source has for it (F16 for
//           GGUF sources, as in the output), so that the solver and the output see the same rounded values
// Memory    one layer, and one block of rows of the embedding or the head
// Not       tensors that the architecture does not use are not written
// Errors    those of reading and writing; invalid_argument where a changed value does not fit the source's type
// Threads   the pool passed in
#pragma once

#include <string>

#include "base/result.h"
#include "pipeline/step1_load.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"
#include "transform/transform.h"

namespace quernel::pipeline {

// The folder exists and is empty; config.json is written last.
Status write_prepared(const LoadedSource& source, const transform::ModelChange& change, const std::string& folder,
                      sys::ThreadPool& pool, sys::ProgressSink& progress);

// Are all tensors of the prepared model fp32? Then what was written is what was computed.
bool keeps_fp32(const LoadedSource& source);

}  // namespace quernel::pipeline
