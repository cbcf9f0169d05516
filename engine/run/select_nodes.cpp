#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <vector>

#include "engine/run/export_rows.hpp"
#include "kernels/base/error.hpp"
#include "storage/npy.hpp"

namespace strata {

namespace {

Array<NodeId> sorted_unique(Array<NodeId> ids, std::size_t count, MemoryBudget& budget) {
  std::sort(ids.begin(), ids.begin() + count);
  const std::size_t kept = static_cast<std::size_t>(std::unique(ids.begin(), ids.begin() + count) - ids.begin());
  if (kept == ids.size()) return ids;
  Array<NodeId> result(budget, kept, "selected nodes");
  std::copy_n(ids.begin(), kept, result.begin());
  return result;
}

Array<NodeId> nodes_of_splits(const std::vector<std::string>& names, const Store& store, MemoryBudget& budget) {
  std::uint64_t total = 0;
  for (const SplitInfo& split : store.info().splits) {
    if (std::find(names.begin(), names.end(), split.name) != names.end()) total += split.nodes;
  }
  Array<NodeId> ids(budget, total, "selected nodes");
  const Array<NodeId> original = store.original_ids(budget);
  std::size_t count = 0;
  for (const std::string& name : names) {
    if (!store.has_split(name)) continue;
    const Array<NodeId> members = store.split(name, budget);
    for (const NodeId id : members) ids[count++] = original[id];
  }
  return sorted_unique(std::move(ids), count, budget);
}

// What the source's files call a node -> its original number.
class NamedNodes {
 public:
  NamedNodes(const Store& store, MemoryBudget& budget)
      : nodes_(store.info().nodes), external_(store.external_ids(budget)) {}

  [[nodiscard]] NodeId find(std::int64_t id, const std::string& path, const std::string& where) const {
    const auto wanted = static_cast<std::uint64_t>(id);
    if (external_.empty() && wanted < nodes_) return static_cast<NodeId>(wanted);
    const auto found = std::lower_bound(external_.begin(), external_.end(), wanted);
    if (found != external_.end() && *found == wanted) return static_cast<NodeId>(found - external_.begin());
    throw InputError(path, where, fmt::format("node {} does not exist: the store has {} nodes", id, nodes_));
  }

 private:
  std::uint64_t nodes_;
  Array<std::uint64_t> external_;  // ascending
};

bool is_npy(const std::filesystem::path& path) {
  std::byte magic[6];
  return open_file_source(path)->read(magic) == sizeof magic && magic[0] == std::byte{0x93} &&
         std::equal(magic + 1, magic + 6, reinterpret_cast<const std::byte*>("NUMPY"));
}

std::vector<NodeId> ids_of_npy(const std::filesystem::path& path, const NamedNodes& nodes) {
  NpyReader reader(path);
  if (!reader.header().type.is_integer()) {
    throw InputError(path.string(), "header", "holds " + reader.header().type.text() + ", expected integer node ids");
  }
  std::vector<NodeId> ids;
  std::int64_t piece[1024];
  while (reader.remaining() > 0) {
    const std::size_t count = std::min<std::uint64_t>(std::size(piece), reader.remaining());
    reader.read_as_int64({piece, count});
    for (std::size_t i = 0; i < count; ++i) {
      ids.push_back(nodes.find(piece[i], path.string(), fmt::format("element {}", ids.size())));
    }
  }
  return ids;
}

std::vector<NodeId> ids_of_text(const std::filesystem::path& path, const NamedNodes& nodes) {
  std::vector<NodeId> ids;
  LineReader lines(open_text_source(path));
  while (lines.next()) {
    const std::string_view line = lines.line();
    if (line.empty()) continue;
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), id);
    if (error != std::errc{} || end != line.data() + line.size()) lines.fail("expected one node id");
    ids.push_back(nodes.find(id, path.string(), fmt::format("line {}", lines.number())));
  }
  return ids;
}

Array<NodeId> nodes_of_file(const std::filesystem::path& path, const Store& store, MemoryBudget& budget) {
  const NamedNodes nodes(store, budget);
  const std::vector<NodeId> ids = is_npy(path) ? ids_of_npy(path, nodes) : ids_of_text(path, nodes);
  Array<NodeId> result(budget, ids.size(), "selected nodes");
  std::copy(ids.begin(), ids.end(), result.begin());
  return sorted_unique(std::move(result), ids.size(), budget);
}

}  // namespace

Array<NodeId> select_nodes(const std::string& what, const Store& store, MemoryBudget& budget) {
  if (what == "none") return {};
  if (what == "splits") return nodes_of_splits({"train", "valid", "test"}, store, budget);
  if (what == "test") return nodes_of_splits({"test"}, store, budget);
  if (what != "all") return nodes_of_file(what, store, budget);
  Array<NodeId> ids(budget, store.info().nodes, "selected nodes");
  std::iota(ids.begin(), ids.end(), NodeId{0});
  return ids;
}

}  // namespace strata
