// What a job leaves beside the weights: its identity and its report; and how both are told from another job's.
//
// Layout   OUT/quernel/job.json (pipeline/fingerprint.h), report.json, layers.csv, then the checksums over all files
// Errors   io_error, out_of_disk
// Threads  one job a folder
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "export/hf_checkpoint.h"
#include "pipeline/job.h"
#include "pipeline/step1_load.h"

namespace quernel::pipeline {

// An output that says it is this very job's. It counts as done only once the work directory is gone: that goes last.
bool is_finished(const std::string& output, const Json& identity);

// Counts and sizes of the report, from the first format.
void fill_totals(const LoadedSource& source, const std::vector<exporting::ExportedCheckpoint>& written,
                 JobReport& report);

Status write_reports(const std::string& output, const std::vector<exporting::ExportedCheckpoint>& written,
                     const Json& json, const JobReport& report, const Json& identity);

}  // namespace quernel::pipeline
