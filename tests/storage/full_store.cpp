#include "tests/storage/full_store.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "kernels/base/rng.hpp"
#include "storage/array_file.hpp"
#include "storage/derived.hpp"
#include "storage/store_writer.hpp"

namespace strata::test {

namespace {

void write_direction(StoreWriter& writer, Direction direction, const std::vector<std::vector<NodeId>>& adjacency) {
  std::vector<std::uint32_t> degrees;
  for (const auto& row : adjacency) degrees.push_back(static_cast<std::uint32_t>(row.size()));
  writer.write_degrees(direction, degrees);
  for (NodeId first = 0; first < adjacency.size(); first += kChunkRows) {
    std::vector<EdgeId> offsets{0};
    std::vector<NodeId> sources;
    std::vector<float> weights;
    for (NodeId row = first; row < std::min<std::size_t>(adjacency.size(), first + kChunkRows); ++row) {
      for (const NodeId source : adjacency[row]) {
        sources.push_back(source);
        weights.push_back(direction == Direction::in ? FullStore::weight(source, row) : FullStore::weight(row, source));
      }
      offsets.push_back(sources.size());
    }
    const std::string name =
        (direction == Direction::in ? "in-" : "out-") + std::to_string(first / kChunkRows) + ".shard";
    writer.add_shard(direction, write_shard(writer.path(), name, first, offsets, sources, weights));
  }
}

}  // namespace

FullStore::FullStore() : in(kNodes), out(kNodes), original(kNodes) {
  CounterRng rng(11, Stream::synthetic);
  for (NodeId target = 0; target < kNodes; ++target) {
    std::set<NodeId> sources;
    for (int i = 0; i < 4; ++i) sources.insert(rng.below(kNodes));
    in[target].assign(sources.begin(), sources.end());
    for (const NodeId source : sources) out[source].push_back(target);
  }
  for (std::size_t i = 0; i < kNodes * kColumns; ++i) features.push_back(static_cast<float>(rng.below(5)) - 2.0f);
  for (NodeId node = 0; node < kNodes; ++node) {
    labelled.push_back(node % 5 != 0);
    std::vector<int> row;
    for (std::uint64_t c = 0; c < kClasses; ++c) row.push_back(labelled[node] != 0 && rng.below(3) == 0 ? 1 : 0);
    targets.push_back(row);
    (node % 3 == 0 ? train : node % 3 == 1 ? valid : test).push_back(node);
  }
  std::iota(original.begin(), original.end(), NodeId{0});
  for (NodeId i = kNodes - 1; i > 0; --i) std::swap(original[i], original[rng.below(i + 1)]);
}

void FullStore::write(const std::filesystem::path& directory, bool force) const {
  MemoryBudget budget(std::uint64_t{64} << 20);
  StoreWriter writer(directory, force, budget);
  write_direction(writer, Direction::in, in);
  write_direction(writer, Direction::out, out);
  std::vector<float> weighted;
  for (NodeId target = 0; target < kNodes; ++target) {
    float sum = 0;
    for (const NodeId source : in[target]) sum += weight(source, target);
    weighted.push_back(sum);
  }
  writer.write_weighted_degrees(weighted);
  std::vector<std::uint8_t> bits(kNodes * 2);
  for (NodeId node = 0; node < kNodes; ++node) {
    for (std::uint64_t c = 0; c < kClasses; ++c) {
      std::uint8_t& byte = bits[node * 2 + c / 8];
      byte = static_cast<std::uint8_t>(byte | targets[node][c] << (c % 8));
    }
  }
  writer.write_labels(bits, 2, labelled);
  writer.write_permutation(original);
  writer.write_split("train", train);
  writer.write_split("valid", valid);
  writer.write_split("test", test);
  const RowShape shape{kNodes, kColumns, Codec::int8};
  RowFileWriter rows(writer.path() / StoreWriter::kFeatures, shape, {3}, budget);
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    rows.write_chunk(chunk, {features.data() + chunk * kChunkRows * kColumns, shape.chunk_rows(chunk), kColumns});
  }
  rows.commit();
  writer.add_features(kColumns, Codec::int8, "none");
  StoreInfo info;
  info.name = "full";
  info.source = "test";
  info.nodes = kNodes;
  info.weighted = true;
  info.classes = kClasses;
  info.metric = "micro-f1";
  info.partitioner = "none";
  writer.finish(info, "{\n  \"stages\": []\n}\n");
}

void FullStore::write_derived(const std::filesystem::path& directory, const std::string& key) {
  const Store store(directory);
  MemoryBudget budget(std::uint64_t{64} << 20);
  DerivedWriter writer(store, key);
  const RowShape shape{1200, 5, Codec::fp32};
  const std::vector<float> values(shape.rows * shape.cols, 1.5f);
  RowFileWriter rows(writer.path() / "z.rows", shape, {}, budget);
  for (std::size_t chunk = 0; chunk < shape.chunks(); ++chunk) {
    rows.write_chunk(chunk, {values.data() + chunk * kChunkRows * shape.cols, shape.chunk_rows(chunk), shape.cols});
  }
  rows.commit();
  const std::vector<double> column{1.0, 2.0, 3.0};
  write_array<double>(writer.path() / "column.array", column);
  write_file_atomically(writer.path() / "notes.txt", "plain");
  writer.finish(R"({"what": "test"})");
}

}  // namespace strata::test
