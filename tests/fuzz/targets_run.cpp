// A run's checkpoint: read whole or refused as damaged.
#include "engine/run/checkpoint.hpp"
#include "tests/fuzz/sealed_file.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::fuzz {

namespace {

namespace fs = std::filesystem;

struct TwoLayers {
  TwoLayers()
      : budget(kBudget),
        values({{"convs.0.lin.weight", {3, 2}, 0, Init::glorot, 0}, {"convs.1.lin.weight", {2, 3}, 1, Init::glorot, 0}},
               {"layer1", "layer2"}, 1, budget) {}
  MemoryBudget budget;
  Parameters<float> values;
};

void run_checkpoint(const FuzzTarget&, const FuzzInput& input, const fs::path& scratch) {
  const fs::path path = Checkpoint::path_in(scratch);
  fs::create_directories(path.parent_path());
  write_file_atomically(path, file_of<seal_content<40>>(input));
  const std::optional<Checkpoint> checkpoint = Checkpoint::open(scratch);
  if (!checkpoint) throw Finding{"a checkpoint that is there was not seen"};
  TwoLayers parameters;
  std::vector<float> best(parameters.values.size());
  checkpoint->restore(parameters.values, best);
}

std::string checkpoint_bytes() {
  const TempDir dir;
  TwoLayers parameters;
  RunState state;
  state.epoch = 5;
  state.last = EpochScores{SplitScore{0.5, 1.5, 10}, std::nullopt, SplitScore{0.25, 3, 4}};
  state.best = {true, 4, {SplitScore{1, 0, 10}, SplitScore{0.75, 1, 5}, {}}};
  const std::vector<float> best(parameters.values.size(), 1.0f);
  Checkpoint::save(dir.path(), {{"lr", "0.01"}}, state, parameters.values, best);
  return read_file(Checkpoint::path_in(dir.path()));
}

}  // namespace

std::vector<FuzzTarget> run_targets() { return {file_target("checkpoint", run_checkpoint, checkpoint_bytes())}; }

}  // namespace strata::fuzz
