#include "pipeline/job_files.h"

#include "pipeline/fingerprint.h"
#include "pipeline/report.h"
#include "sys/atomic_file.h"
#include "sys/json_file.h"

namespace quernel::pipeline {

namespace {

std::string identity_path(const std::string& output) { return output + "/quernel/job.json"; }

}  // namespace

bool is_finished(const std::string& output, const Json& identity) {
  const auto stored = sys::read_json(identity_path(output));
  return stored.ok() && !first_difference(*stored, identity).has_value();
}

void fill_totals(const LoadedSource& source, const std::vector<exporting::ExportedCheckpoint>& written,
                 JobReport& report) {
  report.parameters = source.parameters;
  report.quantized_parameters = source.quantized_parameters;
  report.bytes_in = source.bytes;
  report.bytes_out = written.front().tensor_bytes;
  report.decoder_bits_per_weight =
      8.0 * static_cast<double>(written.front().quantized_bytes) / static_cast<double>(source.quantized_parameters);
  report.model_bits_per_weight =
      8.0 * static_cast<double>(written.front().tensor_bytes) / static_cast<double>(source.parameters);
}

Status write_reports(const std::string& output, const std::vector<exporting::ExportedCheckpoint>& written,
                     const Json& json, const JobReport& report, const Json& identity) {
  QUERNEL_TRY_STATUS(sys::make_folders(output + "/quernel"));
  QUERNEL_TRY_STATUS(sys::write_file(output + "/quernel/report.json", dump_json(json, 1) + "\n"));
  QUERNEL_TRY_STATUS(sys::write_file(output + "/quernel/layers.csv", layers_csv(report)));
  QUERNEL_TRY_STATUS(sys::write_file(identity_path(output), dump_json(identity, 1) + "\n"));
  for (const exporting::ExportedCheckpoint& checkpoint : written)
    QUERNEL_TRY_STATUS(exporting::write_checksums(checkpoint.folder));
  // The folder that holds several checkpoints lists all of their files too, once those lists are final.
  if (written.size() > 1) return exporting::write_checksums(output);
  return {};
}

}  // namespace quernel::pipeline
