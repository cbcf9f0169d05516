// strata-train: trains on a store; design section 9.
#include "engine/run/run.hpp"
#include "tools/program.hpp"
#include "tools/train_options.hpp"

int main(int argc, char** argv) {
  return strata::run_program("strata-train", argc, argv, [](int count, char** words) {
    strata::TrainOptions options;
    if (!strata::parse_train_options(count, words, options)) return 0;
    return strata::run_training(options);
  });
}
