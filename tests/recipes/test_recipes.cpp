// Every recipe of bench/recipes converts and trains two epochs, on a small synthetic set of its data set's shape.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temp_dir.hpp"
#include "tests/tools/run_command.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
const fs::path kBench = STRATA_BENCH_FOLDER;
const fs::path kPrograms = fs::path(STRATA_TRAIN_PROGRAM).parent_path();

std::string text_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// METHOD/DATASET, sorted.
std::vector<std::string> recipes() {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kBench / "recipes")) {
    if (entry.path().extension() != ".conf") continue;
    names.push_back((entry.path().parent_path().filename() / entry.path().stem()).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The value of "name = value", or "".
std::string value_of(const std::string& recipe, const std::string& name) {
  std::istringstream lines(recipe);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name + " = ")) return line.substr(name.size() + 3);
  }
  return "";
}

// What the recipe asks for and the programs themselves say they have not got, or "".
std::string missing_feature(const std::string& recipe) {
  const std::string method = " --method " + value_of(recipe, "method");
  for (const char* name : {"method", "model", "layer-norm"}) {
    const std::string option = std::string(" --") + name + " " + value_of(recipe, name);
    const std::string words = " --store s --run r" + (option == method ? method : method + option);
    if (has(run_command(quoted(STRATA_TRAIN_PROGRAM) + words).output, "is not in this version"))
      return option.substr(1);
  }
  const CommandResult help = run_command(quoted(STRATA_CONVERT_PROGRAM) + " --help");
  if (has(recipe, "--inductive") && !has(help.output, "--inductive ")) return "strata-convert --inductive";
  return "";
}

std::string recipe_command(const std::string& words) {
  return "bash " + quoted((kBench / "recipe.sh").string()) + " " + words + " --bin " + quoted(kPrograms.string());
}

void check_recipe(const std::string& name) {
  const TempDir work;
  const CommandResult result = run_command(recipe_command(name + " --shape --work " + quoted(work.path().string())) +
                                           " -- --epochs 2 --host-memory 512MiB --threads 2 --quiet");
  CAPTURE(result.output);
  REQUIRE(result.status == 0);
  std::string folder = name + ".run";
  std::replace(folder.begin(), folder.end(), '/', '-');
  const nlohmann::json summary = nlohmann::json::parse(text_of(work / folder / "summary.json"));
  CHECK(summary["totals"]["epochs"] == 2);
  CHECK(summary["metric"] == value_of(text_of(kBench / "recipes" / (name + ".conf")), "metric"));
  const double score = summary["best"]["test"].get<double>();
  CHECK(score >= 0);  // after two epochs a score of rare labels may still be 0
  CHECK(score <= 1);
  std::istringstream metrics(text_of(work / folder / "metrics.jsonl"));
  for (std::string line; std::getline(metrics, line);) CHECK(nlohmann::json::parse(line)["loss"].is_number());
}

TEST_CASE("every row of IGLU's table of hyperparameters has a recipe, with source, figure and conversion") {
  const std::vector<std::string> names = recipes();
  CHECK(names == std::vector<std::string>{"iglu/arxiv", "iglu/arxiv-transductive", "iglu/flickr", "iglu/ppi-large",
                                          "iglu/products-transductive", "iglu/proteins", "iglu/proteins-transductive",
                                          "iglu/reddit"});
  for (const std::string& name : names) {
    CAPTURE(name);
    const std::string recipe = text_of(kBench / "recipes" / (name + ".conf"));
    for (const char* line : {"\n# Source: ", "\n# Paper: ", "\n# Data: ", "\n# convert: --from "}) {
      CHECK(has(recipe, line));
    }
    CHECK(has(name, "-transductive") != has(recipe, " --inductive"));
    CHECK(value_of(recipe, "method") == name.substr(0, name.find('/')));
  }
}

TEST_CASE("every recipe trains on a set of its shape") {
  for (const std::string& name : recipes()) {
    CAPTURE(name);
    const std::string missing = missing_feature(text_of(kBench / "recipes" / (name + ".conf")));
    if (missing.empty()) {
      check_recipe(name);
    } else {
      MESSAGE("SKIPPED: " << name << ": this version lacks " << missing);
    }
  }
}

TEST_CASE("recipe.sh says what is wrong in one line") {
  CHECK(run_command(recipe_command("--help")).status == 0);
  CHECK(has(run_command(recipe_command("--list")).output, "iglu/reddit\n"));
  const std::vector<std::pair<std::string, std::string>> wrong = {{"", "no recipe named"},
                                                                  {"iglu/nothing --shape", "no recipe iglu/nothing"},
                                                                  {"iglu/reddit", "--input is missing"},
                                                                  {"iglu/reddit iglu/arxiv", "a second recipe"},
                                                                  {"iglu/reddit --frobnicate", "unknown option"},
                                                                  {"--input", "--input needs a folder"}};
  for (const auto& [words, message] : wrong) {
    CAPTURE(words);
    const CommandResult result = run_command("bash " + quoted((kBench / "recipe.sh").string()) + " " + words);
    CHECK(result.status == 2);
    CHECK(has(result.output, message));
    CHECK(std::count(result.output.begin(), result.output.end(), '\n') == 1);
  }
  const TempDir work;
  const std::string absent = quoted((work / "absent").string());
  const CommandResult result = run_command(
      recipe_command("iglu/arxiv-transductive --input " + absent + " --work " + quoted(work.path().string())));
  CHECK(result.status == 3);
  CHECK(has(result.output, "absent"));
}

}  // namespace
}  // namespace strata::test
