// BatchPlan: every node in exactly one batch, whole units, seeded; and the reading of --batch-file.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <numeric>

#include "engine/batches.hpp"
#include "kernels/base/error.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata {
namespace {

std::vector<NodeId> all_nodes(const BatchPlan& plan) {
  std::vector<NodeId> nodes;
  for (std::size_t b = 0; b < plan.count(); ++b) {
    const std::vector<NodeId> batch = plan.nodes(b);
    CHECK_FALSE(batch.empty());
    CHECK(std::is_sorted(batch.begin(), batch.end()));
    nodes.insert(nodes.end(), batch.begin(), batch.end());
  }
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

std::vector<NodeId> every_third(std::size_t count) {
  std::vector<NodeId> ids(count);
  for (std::size_t i = 0; i < count; ++i) ids[i] = static_cast<NodeId>(3 * i + 1);
  return ids;
}

TEST_CASE("batches of all nodes cover each node once, in as many batches as asked") {
  for (const std::size_t n : {0u, 1u, 31u, 1023u, 1024u, 1025u, 2048u, 9000u}) {
    for (const std::size_t size : {1u, 7u, 1023u, 1024u, 1025u, 1500u, 2048u, 10240u}) {
      if (n / size > 2000) continue;
      CAPTURE(n);
      CAPTURE(size);
      const BatchPlan plan({}, n, size, 5, 0);
      CHECK(plan.count() == divide_up(n, size));
      std::vector<NodeId> expected(n);
      std::iota(expected.begin(), expected.end(), NodeId{0});
      CHECK(all_nodes(plan) == expected);
      for (std::size_t b = 0; b < plan.count(); ++b) {
        CHECK(plan.nodes(b).size() < size + std::min(size, kChunkRows));  // at most a unit more than asked
        if (size <= kChunkRows) CHECK(plan.nodes(b).size() <= size);
      }
    }
  }
}

TEST_CASE("batches of a list cover the list") {
  for (const std::size_t n : {1u, 5u, 1024u, 3000u}) {
    const std::vector<NodeId> ids = every_third(n);
    CHECK(all_nodes(BatchPlan(ids, n, 100, 1, 2)) == ids);
  }
}

TEST_CASE("units are runs of consecutive nodes") {
  const BatchPlan plan({}, 10 * kChunkRows, 2 * kChunkRows, 3, 0);
  for (std::size_t b = 0; b < plan.count(); ++b) {
    const std::vector<NodeId> nodes = plan.nodes(b);
    REQUIRE(nodes.size() == 2 * kChunkRows);
    for (std::size_t i = 0; i < nodes.size(); i += kChunkRows) {
      CHECK(nodes[i] % kChunkRows == 0);
      CHECK(nodes[i + kChunkRows - 1] == nodes[i] + kChunkRows - 1);
    }
  }
}

TEST_CASE("seed and group decide the batches; the epoch decides only their order") {
  const auto first = [](std::uint64_t seed, std::uint32_t group) {
    return BatchPlan({}, 900, 10, seed, group).nodes(0);
  };
  CHECK(first(1, 0) == first(1, 0));
  CHECK(first(1, 0) != first(2, 0));
  CHECK(first(1, 0) != first(1, 1));
  const BatchPlan plan({}, 900, 10, 1, 0);
  std::vector<std::vector<std::uint32_t>> orders;
  for (std::uint32_t epoch = 1; epoch <= 4; ++epoch) {
    std::vector<std::uint32_t> order = plan.order(epoch);
    CHECK(order == plan.order(epoch));
    for (const auto& other : orders) CHECK(order != other);
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    for (std::uint32_t i = 0; i < order.size(); ++i) CHECK(order[i] == i);
  }
}

TEST_CASE("every order of visiting is about equally likely") {
  const BatchPlan plan({}, 3, 1, 11, 0);
  std::map<std::vector<std::uint32_t>, int> seen;
  constexpr int kDraws = 6000;
  for (int epoch = 1; epoch <= kDraws; ++epoch) ++seen[plan.order(static_cast<std::uint32_t>(epoch))];
  REQUIRE(seen.size() == 6);
  // Binomial(6000, 1/6): mean 1000, standard deviation 29; five of them.
  for (const auto& [order, count] : seen) CHECK(std::abs(count - 1000) < 145);
}

class BatchFile {
 public:
  std::map<std::uint32_t, EpochBatches> read(const std::string& text) {
    std::ofstream(directory_ / "batches.jsonl", std::ios::binary) << text;
    return read_batch_file(directory_ / "batches.jsonl", reordered_);
  }
  std::string fault(const std::string& text) {
    try {
      static_cast<void>(read(text));
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  }

 private:
  TempDir directory_;
  std::vector<NodeId> reordered_{4, 3, 2, 1, 0};
};

TEST_CASE("a batch file is read in order, with ids of the store") {
  BatchFile file;
  const auto epochs = file.read(
      "{\"epoch\": 2, \"group\": \"layer1\", \"nodes\": [0, 4]}\n"
      "{\"epoch\": 1, \"group\": \"all\", \"nodes\": [0, 1, 2, 3, 4]}\r\n\n"
      "{\"epoch\": 2, \"group\": \"head\", \"nodes\": [3]}");
  REQUIRE(epochs.size() == 2);
  CHECK(epochs.at(1).size() == 1);
  CHECK(epochs.at(1)[0].nodes == std::vector<NodeId>{0, 1, 2, 3, 4});
  REQUIRE(epochs.at(2).size() == 2);
  CHECK(epochs.at(2)[0].group == "layer1");
  CHECK(epochs.at(2)[0].nodes == std::vector<NodeId>{0, 4});
  CHECK(epochs.at(2)[1].group == "head");
  CHECK(epochs.at(2)[1].nodes == std::vector<NodeId>{1});
}

TEST_CASE("faults in a batch file name the line") {
  BatchFile file;
  const std::string good = "{\"epoch\": 1, \"group\": \"all\", \"nodes\": [0]}\n";
  const auto has = [](const std::string& text, const std::string& part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  has(file.fault(""), "no batches");
  has(file.fault(good + "nonsense\n"), "line 2");
  has(file.fault(good + "[1]\n"), "JSON object");
  has(file.fault(good + "{\"group\": \"all\", \"nodes\": [0]}"), "epoch");
  has(file.fault("{\"epoch\": 0, \"group\": \"all\", \"nodes\": [0]}"), "epoch");
  has(file.fault("{\"epoch\": -1, \"group\": \"all\", \"nodes\": [0]}"), "epoch");
  has(file.fault("{\"epoch\": 1.5, \"group\": \"all\", \"nodes\": [0]}"), "epoch");
  has(file.fault("{\"epoch\": 4294967296, \"group\": \"all\", \"nodes\": [0]}"), "epoch");
  has(file.fault("{\"epoch\": 1, \"group\": 3, \"nodes\": [0]}"), "group");
  has(file.fault("{\"epoch\": 1, \"nodes\": [0]}"), "group");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\"}"), "nodes");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"nodes\": []}"), "nodes");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"nodes\": [5]}"), "node 5 does not exist");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"nodes\": [-1]}"), "-1");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"nodes\": [\"a\"]}"), "\"a\"");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"nodes\": [2, 2]}"), "twice");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"parts\": [2]}"), "parts");
  has(file.fault("{\"epoch\": 1, \"group\": \"all\", \"nodes\": [2], \"x\": 1}"), "\"x\"");
}

TEST_CASE("a batch file that is not there is an input error") {
  const TempDir directory;
  const std::vector<NodeId> none;
  CHECK_THROWS_AS(static_cast<void>(read_batch_file(directory / "absent", none)), InputError);
}

}  // namespace
}  // namespace strata
