// The options of a run under the names of the command line: for summary.json, and to tell whether two runs are the
// same.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "engine/options.hpp"
#include "storage/store.hpp"

namespace strata {

[[nodiscard]] const char* method_name(MethodKind kind);
[[nodiscard]] const char* product_way_name(ProductWay way);
[[nodiscard]] const char* model_name(ModelKind kind);
[[nodiscard]] const char* norm_name(NormKind kind);
[[nodiscard]] const char* classifier_name(ClassifierKind kind);
[[nodiscard]] const char* residual_name(ResidualKind kind);
[[nodiscard]] const char* iglu_order_name(IgluOrder order);
[[nodiscard]] const char* iglu_refresh_name(IgluRefresh refresh);
[[nodiscard]] const char* optimizer_name(OptimizerKind kind);
[[nodiscard]] const char* aggregation_norm_name(Aggregation aggregation);  // "auto", "sym", "row"
[[nodiscard]] const char* row_codec_name(Codec codec, bool bitmap);        // "fp16", or "bitmap" for packed rows
[[nodiscard]] std::string schedule_text(const OptimizerOptions& options);  // "0:0.01,40:x0.5/10", or empty

using Settings = std::map<std::string, std::string>;

// What decides the bits of the weights and which epoch is kept: options, and checksums of the files they name. Files
// are read.
[[nodiscard]] Settings fingerprint(const TrainOptions& options, const Store& store);

// "lr (0.01, now 0.1), seed (1, now 2)": what differs; empty when nothing does.
[[nodiscard]] std::string differences(const Settings& before, const Settings& now);

// Every option with its value.
[[nodiscard]] Settings all_settings(const TrainOptions& options);

}  // namespace strata
