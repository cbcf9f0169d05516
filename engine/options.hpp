// What strata-train is asked to do: the values behind the command line of design section 9, with their defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/base/types.hpp"

namespace strata {

enum class MethodKind : std::uint8_t { full, iglu, sgc };
enum class ModelKind : std::uint8_t { gcn, sage, mlp, vrgcn, saint, gcnii };
enum class NormKind : std::uint8_t { automatic, none, layer, batch };  // automatic: the model's own (norm_of)
enum class SaintCombine : std::uint8_t { concat, sum };
enum class ClassifierKind : std::uint8_t { automatic, none, linear };
enum class ResidualKind : std::uint8_t { none, add, add2 };  // X^k += X^{k-1}, or X^{k-2}, where widths agree
enum class IgluOrder : std::uint8_t { inverted, backprop };
enum class IgluRefresh : std::uint8_t { alternate, once, twice };  // 0.5, 1 and 2 times an epoch
// What products hold in memory: columns of x, or sums of destinations (external_spmm.hpp). automatic: as the planner
// says, for all products or for each the one that reads less.
enum class ProductWay : std::uint8_t { automatic, columns, tiles };
enum class OptimizerKind : std::uint8_t { adam, adam_tf, sgd };

struct ModelOptions {
  ModelKind kind = ModelKind::gcn;
  std::size_t layers = 2;  // K: counts aggregations (linear layers for mlp; powers of A for method sgc)
  std::size_t hidden = 64;
  Activation activation = Activation::relu;
  NormKind norm = NormKind::automatic;
  Aggregation aggregation = Aggregation::none;  // none: the model's own (gcn sym, sage mean, others row with self)
  ClassifierKind classifier = ClassifierKind::automatic;
  ResidualKind residual = ResidualKind::none;
  double dropout = 0;              // on the output of every hidden layer
  double input_dropout = 0;        // on the input of layer 1's linear map (after aggregation)
  bool input_dropout_all = false;  // and of every other layer's: iglu only
  // gcnii: the share of the initial residual; of layer l's weights ln(theta / l + 1); one weight for both or two
  double gcnii_alpha = 0.1, gcnii_theta = 0.5;
  bool gcnii_shared = true;
  SaintCombine saint_combine = SaintCombine::concat;
  bool saint_l2 = true;  // saint: rows of length 1 before the classifier
};

// At epoch `first` (from 0) the learning rate becomes `value`; or, with `factor`, it is multiplied by `value` there
// and, unless `every` is 0, again every so many epochs until the next change.
struct RateChange {
  std::uint32_t first = 0;
  double value = 0;
  bool factor = false;
  std::uint32_t every = 0;

  // `rate` before the change to the rate in `epoch`, which is not before it. One factor after the other, as a loop over
  // the epochs would multiply them: the same bits.
  [[nodiscard]] double apply(double rate, std::uint32_t epoch) const {
    if (!factor) return value;
    const std::uint32_t more = every == 0 ? 0 : (epoch - first) / every;
    for (std::uint32_t times = 0; times <= more; ++times) rate *= value;
    return rate;
  }
};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adam;
  double lr = 1e-2;
  std::vector<RateChange> lr_schedule;  // ascending in `first`
  double weight_decay = 0;
  bool decay_first_layer_only = false;  // Kipf & Welling 2017 regularise only the first layer
  double clip = 0;                      // global gradient norm; 0: off

  [[nodiscard]] double rate(std::uint32_t epoch_from_zero) const {
    double rate = lr;
    for (std::size_t i = 0; i < lr_schedule.size() && lr_schedule[i].first <= epoch_from_zero; ++i) {
      const bool last = i + 1 == lr_schedule.size() || lr_schedule[i + 1].first > epoch_from_zero;
      rate = lr_schedule[i].apply(rate, last ? epoch_from_zero : lr_schedule[i + 1].first - 1);
    }
    return rate;
  }
};

struct TrainOptions {
  std::filesystem::path store, run, cache_dir;
  MethodKind method = MethodKind::full;
  ModelOptions model;
  OptimizerOptions optimizer;
  std::uint32_t epochs = 200;
  std::size_t batch_size = 0;      // nodes in a batch of iglu or sgc; 0: the default of the method
  std::size_t top_batch_size = 0;  // iglu: of the last layer, whose rows are the labelled nodes; 0: batch_size
  IgluOrder iglu_order = IgluOrder::inverted;
  IgluRefresh iglu_refresh = IgluRefresh::once;
  bool inductive = true;  // where the store has a training graph: train on it, evaluate on the full graph
  std::uint64_t seed = 0;
  std::uint32_t patience = 0;  // epochs without improvement before stopping; 0: never
  double min_delta = 0;
  std::string metric = "auto";    // auto | accuracy | micro-f1 | roc-auc
  std::uint64_t host_memory = 0;  // bytes; 0: half of the machine's memory
  std::uint64_t disk_limit = UINT64_MAX;
  Codec codec = Codec::fp32;        // X and Z
  Codec alpha_codec = Codec::fp32;  // alpha and gradients at aggregates
  // Those rows go to disk packed where that helps (DiskForm); with codec fp16, and no bit of any result changes.
  bool bitmap = false, alpha_bitmap = false;
  std::uint32_t threads = 0;  // 0: all cores
  bool prefetch = true;       // read ahead of the passes
  ProductWay product_way = ProductWay::automatic;
  std::uint32_t eval_every = 1;
  std::uint32_t checkpoint_every = 10;
  std::uint32_t save_steps = 0;
  std::filesystem::path init, batch_file;
  std::filesystem::path trace;      // a timeline of the run; empty: none
  std::string predict = "splits";   // splits | all | test | none | a file of original ids
  std::string embeddings = "none";  // none | all | a file of original ids
  bool predict_ogb = false;         // predictions also in the form that OGB's evaluators take
  bool keep_cache = false, resume = false, explain = false, force = false, quiet = false, verbose = false;
};

}  // namespace strata
