#include "storage/import/ogb_catalog.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/byte_source.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

std::string normalised(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::vector<std::string> split_fields(std::string_view line) {
  std::vector<std::string> fields;
  for (;;) {
    const std::size_t comma = line.find(',');
    fields.emplace_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

std::uint64_t number_or_zero(const std::string& text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || value > 1'000'000'000) return 0;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

using Table = std::map<std::string, std::vector<std::string>>;  // row name -> one value per set

std::optional<OgbEntry> read_master(const fs::path& path, const std::string& wanted) {
  LineReader lines(open_text_source(path));
  if (!lines.next()) throw InputError(path.string(), "", "is empty");
  const std::vector<std::string> names = split_fields(lines.line());
  Table table;
  while (lines.next()) {
    std::vector<std::string> fields = split_fields(lines.line());
    if (fields.size() != names.size()) {
      if (lines.line().empty()) continue;
      lines.fail("found " + std::to_string(fields.size()) + " columns, expected " + std::to_string(names.size()));
    }
    std::string key = fields[0];
    table[key] = std::move(fields);
  }
  const std::vector<std::string> downloads = table.count("download_name") ? table["download_name"] : names;
  for (std::size_t column = 1; column < names.size(); ++column) {
    if (normalised(names[column]) != wanted && normalised(downloads[column]) != wanted) continue;
    const auto value = [&](const char* row) { return table.count(row) ? table[row][column] : std::string(); };
    OgbEntry entry;
    entry.origin = path.string();
    entry.tasks = number_or_zero(value("num tasks"));
    entry.classes = number_or_zero(value("num classes"));
    entry.metric = value("eval metric");
    entry.add_inverse_edge = value("add_inverse_edge") == "True";
    entry.has_node_features = value("has_node_attr") != "False";
    entry.split = value("split");
    entry.heterogeneous = value("is hetero") == "True";
    entry.binary = value("binary") == "True";
    return entry;
  }
  return std::nullopt;
}

// snap-stanford/ogb, ogb/nodeproppred/master.csv (package 1.3.6).
struct KnownSet {
  const char* name;
  const char* download_name;
  std::uint64_t tasks, classes;
  const char* metric;
  bool add_inverse_edge, has_node_features;
  const char* split;
  bool heterogeneous, binary;
};

constexpr std::array<KnownSet, 5> kKnownSets = {{
    {"ogbn-arxiv", "arxiv", 1, 40, "acc", false, true, "time", false, false},
    {"ogbn-products", "products", 1, 47, "acc", true, true, "sales_ranking", false, false},
    {"ogbn-proteins", "proteins", 112, 2, "rocauc", true, false, "species", false, false},
    {"ogbn-mag", "mag", 1, 349, "acc", false, true, "time", true, false},
    {"ogbn-papers100M", "papers100M-bin", 1, 172, "acc", false, true, "time", false, true},
}};

}  // namespace

std::optional<OgbEntry> find_ogb_entry(const fs::path& directory) {
  const std::string wanted = normalised(directory.filename().string());
  const fs::path master = directory.parent_path() / "master.csv";
  if (fs::exists(master)) {
    if (std::optional<OgbEntry> entry = read_master(master, wanted)) return entry;
  }
  for (const KnownSet& set : kKnownSets) {
    if (wanted != set.name && wanted != set.download_name) continue;
    return OgbEntry{"OGB's list of sets",  set.tasks, set.classes,       set.metric, set.add_inverse_edge,
                    set.has_node_features, set.split, set.heterogeneous, set.binary};
  }
  return std::nullopt;
}

}  // namespace strata
