// --from synthetic: the model of synthetic_model.hpp as a source; blocks are filled in parallel.
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <limits>

#include "kernels/base/error.hpp"
#include "storage/import/labels.hpp"
#include "storage/import/source.hpp"
#include "storage/import/synthetic_model.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEdgesPerBlock = std::size_t{1} << 20;

void check(const ImportOptions& options) {
  const SyntheticOptions& s = options.synthetic;
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw UsageError(std::string("--from synthetic: ") + what);
  };
  require(s.nodes > 0 && s.nodes < std::numeric_limits<NodeId>::max(), "--nodes must be between 1 and 2^32 - 2");
  require(s.edges < (std::uint64_t{1} << 40), "--edges must be below 2^40");
  require(s.classes >= 1 && s.classes <= s.nodes, "--classes must be between 1 and the number of nodes");
  require(s.feature_dim < (std::uint64_t{1} << 24), "--feature-dim must be below 2^24");
  require(s.homophily >= 0 && s.homophily <= 1, "--homophily must be between 0 and 1");
  require(s.power_law == 0 || s.power_law > 1.05, "--power-law must be 0 (equal degrees) or above 1.05");
  require(s.labelled >= 0 && s.labelled <= 1, "--labelled must be between 0 and 1");
  require(s.communities % s.classes == 0, "--communities must be a multiple of --classes");
  require(community_count(s) <= s.nodes, "--communities must not be more than the number of nodes");
  require(!s.multi_label || s.classes > 1, "--multi-label needs at least two classes");
  require(!s.multi_label || s.communities == 0, "--communities has no meaning with --multi-label");
  require(!s.multi_label || !s.labelled_clustered, "--labelled-clustered cannot be used with --multi-label");
  require(options.input.empty(), "--input has no meaning here: the graph is generated");
  require(options.split.empty() || options.split == "random", "the only split is 'random'");
  require(!options.split_index, "--split-index has no meaning here");
}

class SyntheticSource final : public GraphSource {
 public:
  explicit SyntheticSource(const ImportOptions& options)
      : options_(options.synthetic), model_((check(options), options.synthetic), options.seed) {
    facts_.name = fs::absolute(options.output).filename().string();
    facts_.nodes = options_.nodes;
    facts_.edges = options_.edges;
    facts_.feature_dim = options_.feature_dim;
    facts_.feature_place = "generated features";
    facts_.split = "random";
    facts_.random_split = true;
  }

  [[nodiscard]] const SourceFacts& facts() const override { return facts_; }

  void read_edges(MemoryBudget& budget, const EdgeSink& sink) override {
    const Array<EdgePair> block(budget, kEdgesPerBlock, "a block of edges");
    for (std::uint64_t first = 0; first < options_.edges; first += kEdgesPerBlock) {
      const std::size_t count = std::min<std::uint64_t>(kEdgesPerBlock, options_.edges - first);
      tbb::parallel_for(tbb::blocked_range<std::size_t>(0, count, 4096), [&](const auto& range) {
        for (std::size_t i = range.begin(); i < range.end(); ++i) block[i] = model_.edge(first + i);
      });
      sink({block.data(), count}, {});
    }
  }

  void read_features(MemoryBudget& budget, const RowSink& sink) override {
    const std::size_t columns = options_.feature_dim;
    if (columns == 0) return;
    const std::size_t capacity = rows_per_block(columns);
    const Array<float> block(budget, capacity * columns, "a block of features");
    for (std::uint64_t first = 0; first < options_.nodes; first += capacity) {
      const std::size_t rows = std::min<std::uint64_t>(capacity, options_.nodes - first);
      tbb::parallel_for(tbb::blocked_range<std::size_t>(0, rows, 64), [&](const auto& range) {
        for (std::size_t r = range.begin(); r < range.end(); ++r) {
          model_.features(static_cast<NodeId>(first + r), {block.data() + r * columns, columns});
        }
      });
      sink(first, {block.data(), rows, columns});
    }
  }

  [[nodiscard]] ImportedLabels read_labels(MemoryBudget& budget) override {
    const std::uint64_t columns = options_.multi_label ? options_.classes : 1;
    LabelBuilder builder(
        budget, options_.nodes, columns, options_.multi_label ? 0 : options_.classes,
        [](std::uint64_t, const std::string&) { STRATA_ASSERT(!"a generated label is out of range"); });
    std::vector<float> targets(columns);
    for (std::uint64_t n = 0; n < options_.nodes; ++n) {
      const auto node = static_cast<NodeId>(n);
      if (!model_.is_labelled(node)) continue;
      if (columns == 1) {
        builder.set_class(n, model_.class_of(node));
        continue;
      }
      for (std::uint32_t c = 0; c < columns; ++c) targets[c] = model_.has_class(node, c) ? 1.0f : 0.0f;
      builder.set_targets(n, targets);
    }
    return builder.take();
  }

  [[nodiscard]] std::vector<ImportedSplit> read_splits() override { return {}; }
  [[nodiscard]] std::vector<fs::path> files() const override { return {}; }

 private:
  SyntheticOptions options_;
  SyntheticModel model_;
  SourceFacts facts_;
};

}  // namespace

std::unique_ptr<GraphSource> open_synthetic_source(const ImportOptions& options) {
  return std::make_unique<SyntheticSource>(options);
}

}  // namespace strata
