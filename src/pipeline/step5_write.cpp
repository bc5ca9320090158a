#include "pipeline/step5_write.h"

#include <memory>
#include <string>
#include <utility>

#include "export/side_files.h"
#include "transform/transform.h"

namespace quernel::pipeline {

std::vector<std::string> module_names(const LoadedSource& source) {
  std::vector<std::string> names;
  for (const auto& layer : source.layers)
    for (const model::LinearModule& module : layer) names.push_back(module.name);
  return names;
}

exporting::MatrixReader store_reader(const ModuleStore& store) {
  struct Last {
    std::string name;
    exporting::MatrixPointer matrix;
  };
  return [&store, last = std::make_shared<Last>()](const std::string& module) -> Result<exporting::MatrixPointer> {
    if (last->matrix == nullptr || last->name != module) {
      QUERNEL_TRY(StoredModule stored, store.get(module));
      last->name = module;
      last->matrix = std::make_shared<const codec::IntegerMatrix>(std::move(stored.matrix));
    }
    return last->matrix;
  };
}

exporting::ExportOptions export_options(const QuantizeJob& job) {
  exporting::ExportOptions options;
  options.formats = job.formats;
  // A resumed job clears what its own earlier run left; the exporter refuses folders that are not ours either way.
  options.existing = job.overwrite || job.resume ? exporting::Existing::overwrite : exporting::Existing::refuse;
  options.base_model = exporting::base_model_name(job.source);
  if (!job.transform.chain.empty()) options.prepared_by = transform::to_string(job.transform.chain);
  return options;
}

Result<std::vector<exporting::ExportedCheckpoint>> step5_write(const QuantizeJob& job, const LoadedSource& source,
                                                               const JobPlan& plan, const ModuleStore& store,
                                                               sys::ProgressSink& progress) {
  exporting::ExportInput input;
  input.source = &source.checkpoint;
  input.info = plan.info;
  input.modules = module_names(source);
  input.read = store_reader(store);
  return exporting::export_checkpoints(input, job.output, export_options(job), progress);
}

}  // namespace quernel::pipeline
