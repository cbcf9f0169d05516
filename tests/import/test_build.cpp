// The pieces of a conversion against slow twins: sorted rows, spools, orders, shard ranges, feature windows.
#include <doctest/doctest.h>
#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "kernels/base/error.hpp"
#include "storage/import/csr_builder.hpp"
#include "storage/import/csv.hpp"
#include "storage/import/feature_writer.hpp"
#include "storage/import/node_order.hpp"
#include "storage/import/shard_plan.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::test {
namespace {

struct RandomGraph {
  std::vector<EdgePair> pairs;
  std::vector<float> weights;
  NodeId nodes;

  RandomGraph(NodeId n, std::size_t edges, bool weighted, unsigned seed) : nodes(n) {
    std::mt19937 random(seed);
    for (std::size_t e = 0; e < edges; ++e) {
      pairs.push_back({static_cast<NodeId>(random() % n), static_cast<NodeId>(random() % n)});
      if (weighted) weights.push_back(static_cast<float>(random() % 100));
    }
  }
  std::vector<std::uint32_t> degrees(Rows rows) const {
    std::vector<std::uint32_t> count(nodes, 0);
    for (const EdgePair& p : pairs) {
      if (rows != Rows::by_source) ++count[p.target];
      if (rows != Rows::by_target) ++count[p.source];
    }
    return count;
  }
};

using Row = std::vector<std::pair<NodeId, float>>;

// The slow twin of build_csr.
std::vector<Row> twin(const RandomGraph& graph, const CsrRequest& request, std::span<const NodeId> new_of) {
  std::vector<Row> rows(graph.nodes);
  const auto put = [&](NodeId row, NodeId column, float weight) {
    if (!(request.skip_self_loops && row == column)) rows[row].emplace_back(column, weight);
  };
  for (std::size_t e = 0; e < graph.pairs.size(); ++e) {
    const NodeId u = new_of.empty() ? graph.pairs[e].source : new_of[graph.pairs[e].source];
    const NodeId v = new_of.empty() ? graph.pairs[e].target : new_of[graph.pairs[e].target];
    const float w = graph.weights.empty() ? 1.0f : graph.weights[e];
    if (request.rows != Rows::by_source) put(v, u, w);
    if (request.rows != Rows::by_target) put(u, v, w);
  }
  for (Row& row : rows) {
    std::stable_sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    if (request.keep_duplicates) continue;
    row.erase(std::unique(row.begin(), row.end(), [](const auto& a, const auto& b) { return a.first == b.first; }),
              row.end());
  }
  return {rows.begin() + request.first, rows.begin() + request.first + request.count};
}

std::vector<Row> rows_of(const CsrRange& csr) {
  std::vector<Row> rows(csr.count());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (EdgeId e = csr.offsets[r]; e < csr.offsets[r + 1]; ++e) {
      rows[r].emplace_back(csr.columns[e], csr.weights.empty() ? 1.0f : csr.weights[e]);
    }
  }
  return rows;
}

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

}  // namespace

TEST_CASE("build_csr equals its twin: directions, ranges, orders, weights, spool in memory and on disk") {
  TempDir dir;
  for (const NodeId nodes : {1u, 2u, 37u, 1500u}) {
    for (const bool weighted : {false, true}) {
      const RandomGraph graph(nodes, nodes == 1500 ? 700000 : 40, weighted, nodes);
      for (const std::uint64_t memory : {std::uint64_t{0}, 64 * kMiB}) {
        MemoryBudget budget(256 * kMiB);
        EdgeSpool spool(budget, dir.path(), graph.pairs.size(), weighted, memory);
        CHECK(spool.in_memory() == (memory != 0));
        for (std::size_t at = 0; at < graph.pairs.size(); at += 1000) {  // uneven blocks
          const std::size_t count = std::min<std::size_t>(1000, graph.pairs.size() - at);
          spool.append(std::span(graph.pairs).subspan(at, count),
                       weighted ? std::span(graph.weights).subspan(at, count) : std::span<const float>());
        }
        spool.finish();
        const NodeOrder order = random_order(nodes, 5, budget);
        for (const Rows rows : {Rows::by_target, Rows::by_source, Rows::both}) {
          const std::vector<std::uint32_t> degrees = graph.degrees(rows);
          for (const bool keep : {false, true}) {
            const NodeId first = nodes / 3, count = (nodes + 1) / 2;
            for (const CsrRequest& request :
                 {CsrRequest{rows, 0, nodes, keep, false}, CsrRequest{rows, first, count, keep, true}}) {
              const CsrRange plain = build_csr(spool, request, {}, {}, degrees, budget);
              CHECK(rows_of(plain) == twin(graph, request, {}));
              const CsrRange renamed =
                  build_csr(spool, request, order.new_of.span(), order.original_of.span(), degrees, budget);
              CHECK(rows_of(renamed) == twin(graph, request, order.new_of.span()));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("build_csr without edges") {
  MemoryBudget budget(16 * kMiB);
  EdgeSpool spool(budget, {}, 0, false, kMiB);
  spool.finish();
  const std::vector<std::uint32_t> degrees(5, 0);
  const CsrRange csr = build_csr(spool, {Rows::both, 1, 3, false, false}, {}, {}, degrees, budget);
  CHECK(csr.edges() == 0);
  CHECK(csr.count() == 3);
  CHECK(csr.duplicates == 0);
}

TEST_CASE("orders are permutations, the same for the same seed; METIS finds cliques") {
  MemoryBudget budget(256 * kMiB);
  // 8 cliques of 40 nodes, node n in clique n % 8, joined in a ring by one edge each.
  RandomGraph graph(320, 0, false, 1);
  for (NodeId a = 0; a < 320; ++a) {
    for (NodeId b = a + 8; b < 320; b += 8) graph.pairs.push_back({a, b});
  }
  for (NodeId c = 0; c < 8; ++c) graph.pairs.push_back({c, (c + 1) % 8});
  EdgeSpool spool(budget, {}, graph.pairs.size(), false, kMiB);
  spool.append(graph.pairs, {});
  spool.finish();
  const auto order_by_metis = [&](std::uint64_t seed) {
    return metis_order(build_csr(spool, {Rows::both, 0, 320, false, true}, {}, {}, graph.degrees(Rows::both), budget),
                       8, seed, budget);
  };
  const NodeOrder a = order_by_metis(1), b = order_by_metis(1);
  CHECK(std::equal(a.original_of.begin(), a.original_of.end(), b.original_of.begin()));
  CHECK(a.cut == 16);
  for (std::size_t part = 0; part < 8; ++part) {
    std::set<NodeId> cliques;
    for (std::size_t i = 0; i < 40; ++i) cliques.insert(a.original_of[part * 40 + i] % 8);
    CHECK(cliques.size() == 1);
  }
  for (const NodeOrder& order : {std::cref(a), std::cref(b)}) {
    for (NodeId n = 0; n < 320; ++n) CHECK(order.new_of[order.original_of[n]] == n);
  }
  const NodeOrder r = random_order(320, 1, budget), s = random_order(320, 1, budget), t = random_order(320, 2, budget);
  CHECK(std::equal(r.original_of.begin(), r.original_of.end(), s.original_of.begin()));
  CHECK_FALSE(std::equal(r.original_of.begin(), r.original_of.end(), t.original_of.begin()));
  for (NodeId n = 0; n < 320; ++n) CHECK(r.new_of[r.original_of[n]] == n);
}

TEST_CASE("shards are whole chunks in order, all nodes, about equal") {
  std::mt19937 random(3);
  for (const std::uint64_t nodes : {1u, 1023u, 1024u, 1025u, 50000u}) {
    const std::size_t chunks = divide_up(nodes, kChunkRows);
    std::vector<std::uint64_t> in(chunks), out(chunks);
    for (std::size_t c = 0; c < chunks; ++c) {
      in[c] = random() % 5000;
      out[c] = random() % 5000;
    }
    for (std::uint64_t shards = 1; shards <= chunks; ++shards) {
      const std::vector<ShardRange> ranges =
          cut_into_shards(nodes, shards, in, shards % 2 ? out : std::vector<std::uint64_t>());
      REQUIRE(ranges.size() == shards);
      NodeId next = 0;
      std::uint64_t entries = 0;
      for (const ShardRange& range : ranges) {
        CHECK(range.first == next);
        CHECK(range.first % kChunkRows == 0);
        CHECK(range.count > 0);
        next = range.first + range.count;
        entries += range.entries;
      }
      CHECK(next == nodes);
    }
  }
  const std::vector<std::uint64_t> even(64, 10000);
  for (const ShardRange& range : cut_into_shards(65536, 16, even, {})) CHECK(range.count == 4096);
  CHECK(automatic_shards(1, 0, false) == 1);
  CHECK(automatic_shards(1000000, 100, false) == 8);                                      // 1 MiB shards of offsets
  CHECK(automatic_shards(std::uint64_t{1} << 27, std::uint64_t{1} << 31, false) == 144);  // 9 GiB: 64 MiB shards
  CHECK(automatic_shards(std::uint64_t{1} << 24, std::uint64_t{1} << 27, false) == 64);
}

TEST_CASE("feature windows: every way of writing gives the same file") {
  TempDir dir;
  MemoryBudget budget(512 * kMiB);
  for (const std::uint64_t nodes : {1u, 1024u, 5000u}) {
    for (const std::uint64_t cols : {1u, 33u, 100u}) {
      const NodeOrder order = random_order(static_cast<NodeId>(nodes), 9, budget);
      const auto value = [](std::uint64_t row, std::uint64_t c) { return static_cast<float>(row * 131 + c) / 7.0f; };
      std::string first;
      for (const std::uint64_t memory : {64 * kMiB, kMiB, std::uint64_t{1}}) {
        const std::filesystem::path file = dir / "features.rows";
        {
          FeatureWriter writer({file, dir.path(), 0}, {nodes, cols, Codec::fp32}, order.new_of.span(), memory, budget);
          CHECK((writer.windows() > 1) == (nodes == 5000 && memory < nodes * cols * 4));
          std::vector<float> block;
          for (std::uint64_t at = 0; at < nodes; at += 333) {
            const std::size_t rows = std::min<std::uint64_t>(333, nodes - at);
            block.clear();
            for (std::size_t r = 0; r < rows; ++r) {
              for (std::uint64_t c = 0; c < cols; ++c) block.push_back(value(at + r, c));
            }
            writer.put(at, {block.data(), rows, cols});
          }
          writer.commit();
        }
        std::string bytes(std::filesystem::file_size(file), '\0');
        {
          const File in(file, File::Mode::read);
          in.read_at(0, std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
        }
        if (first.empty()) first = bytes;
        CHECK(bytes == first);
      }
      const RowFileReader reader(dir / "features.rows", budget);
      const Buffer tile(budget, round_up(kChunkRows * 128, kBlockAlignment), "tile");
      for (std::size_t chunk = 0; chunk < reader.shape().chunks(); ++chunk) {
        for (std::size_t panel = 0; panel < reader.shape().panels(); ++panel) {
          reader.read_tile(chunk, panel, tile.bytes());
          const std::size_t width = panel_width(cols, panel);
          const float* values = tile.as<float>().data();
          for (std::size_t r = 0; r < reader.shape().chunk_rows(chunk); ++r) {
            const NodeId original = order.original_of[chunk * kChunkRows + r];
            REQUIRE(values[r * width] == value(original, panel * kPanelColumns));
            REQUIRE(values[r * width + width - 1] == value(original, panel * kPanelColumns + width - 1));
          }
        }
      }
    }
  }
}

TEST_CASE("row and standard normalisation") {
  std::vector<float> x = {1, -3, 0, 0, 2, 2};
  normalise_rows(FeatureNorm::row, nullptr, {x.data(), 3, 2});
  CHECK(x == std::vector<float>{0.25f, -0.75f, 0, 0, 0.5f, 0.5f});
  x = {1, 2024, 3, 2024, 100, 5, 5, 2024};  // rows 0, 1, 3 train; the second column is constant there
  const std::vector<NodeId> train = {0, 1, 3};
  ColumnStatistics statistics(2, train);
  statistics.add(0, {x.data(), 2, 2});  // in two blocks
  statistics.add(2, {x.data() + 4, 2, 2});
  statistics.finish();
  CHECK(statistics.mean()[0] == doctest::Approx(3.0));
  CHECK(statistics.scale()[0] == doctest::Approx(1 / std::sqrt(8.0 / 3.0)));
  CHECK(statistics.mean()[1] == 2024.0);
  CHECK(statistics.scale()[1] == 1.0);
  normalise_rows(FeatureNorm::standard, &statistics, {x.data(), 4, 2});
  CHECK(x[1] == 0.0f);
  CHECK(x[5] == -2019.0f);
  CHECK(x[0] == doctest::Approx(-2 / std::sqrt(8.0 / 3.0)));
}

TEST_CASE("floats in csv lines are the nearest, however they are written") {
  TempDir dir;
  std::string text;
  std::mt19937 random(12);
  std::vector<std::string> written = {"0",
                                      "-0.0",
                                      "0.1",
                                      ".5",
                                      "5.",
                                      "16777216",
                                      "16777217",
                                      "1677721.7",
                                      "99999999",
                                      "0.00000001",
                                      "123456789.123456789",
                                      "3.4028235e38",
                                      "1e-45",
                                      "-1.17549435e-38",
                                      "0.000000000000001"};
  for (int i = 0; i < 20000; ++i) {
    const int decimals = static_cast<int>(random() % 10);
    char number[64];
    std::snprintf(number, sizeof number, "%.*f", decimals,
                  (static_cast<double>(random()) - 2e9) / std::pow(10.0, random() % 12));
    written.emplace_back(number);
  }
  for (const std::string& number : written) text += number + "\n";
  write_text(dir / "x.csv", text);
  LineReader lines(open_text_source(dir / "x.csv"));
  for (const std::string& number : written) {
    REQUIRE(lines.next());
    CsvFields fields(lines);
    const float value = fields.next_float(), expected = std::strtof(number.c_str(), nullptr);
    CAPTURE(number);
    REQUIRE(value == expected);
    REQUIRE(std::signbit(value) == std::signbit(expected));
  }
  for (const char* wrong : {"-", ".", "-.", "1.2.3", "1-2", "0x10", "1e", "--1", "1f"}) {
    write_text(dir / "y.csv", wrong);
    LineReader one(open_text_source(dir / "y.csv"));
    REQUIRE(one.next());
    CsvFields fields(one);
    CAPTURE(wrong);
    CHECK_THROWS_AS(fields.next_float(), InputError);
  }
}

TEST_CASE("numbers in csv lines") {
  TempDir dir;
  write_text(dir / "x.csv", "1, -2.5e1,+3,nan\r\n1e-60,,7,\n4,5,6,1e60\n");
  LineReader lines(open_text_source(dir / "x.csv"));
  REQUIRE(lines.next());
  CsvFields a(lines);
  CHECK(a.next_integer() == 1);
  CHECK(a.next_float() == -25.0f);
  CHECK(a.next_float() == 3.0f);
  CHECK(std::isnan(a.next_float()));
  CHECK(a.at_end());
  a.require_end(4);
  CHECK_THROWS_AS((void)a.next(), InputError);
  REQUIRE(lines.next());
  CsvFields b(lines);
  CHECK(b.next_float() == 0.0f);
  CHECK(std::isnan(b.next_float()));
  CHECK_THROWS_AS(b.require_end(2), InputError);
  CHECK(b.next_integer() == 7);
  CHECK(std::isnan(b.next_float()));
  REQUIRE(lines.next());
  CsvFields c(lines);
  for (int i = 0; i < 3; ++i) (void)c.next();
  CHECK_THROWS_AS(c.next_float(), InputError);
}

}  // namespace strata::test
