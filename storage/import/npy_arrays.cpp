#include "storage/import/npy_arrays.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/base/error.hpp"
#include "storage/import/labels.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = std::size_t{1} << 18;

std::string number(std::uint64_t value) { return std::to_string(value); }

// Whether the two endpoints of an edge lie side by side in the file.
bool is_interleaved(const NpyHeader& header) {
  const bool edges_first = header.shape[0] != 2;  // (E,2)
  return edges_first != header.fortran_order;
}

}  // namespace

ArraySet::ArraySet(const fs::path& path) : path_(path), disk_(path) {
  if (fs::is_directory(path)) return;
  if (!fs::exists(path)) throw InputError(path.string(), "", "there is no such file or directory");
  archive_.emplace(path);
}

ArraySet::ArraySet(const InputFiles& files, const std::string& name) : disk_(files.path()) {
  if (name.ends_with(".npz")) {
    const InputFile file = files.file(name);
    path_ = file.place();
    disk_ = file.disk();
    archive_.emplace(file.open_archive(files.scratch()));
  } else if (files.is_archive()) {
    path_ = files.path();
    archive_.emplace(*files.archive());
    prefix_ = files.prefix() + (name.empty() ? "" : name + "/");
  } else {
    path_ = name.empty() ? files.path() : files.path() / name;
  }
}

bool ArraySet::has(const std::string& key) const {
  return archive_ ? archive_->find(member(key)) != nullptr : fs::exists(path_ / (key + ".npy"));
}

NpyReader ArraySet::open(const std::string& key) const {
  return archive_ ? NpyReader(archive_->open(member(key))) : NpyReader(path_ / (key + ".npy"));
}

std::string ArraySet::file_of(const std::string& key) const {
  return archive_ ? path_.string() : (path_ / (key + ".npy")).string();
}

std::string ArraySet::member_of(const std::string& key) const { return archive_ ? "member " + member(key) : ""; }

std::string ArraySet::place(const std::string& key) const {
  return archive_ ? path_.string() + ": " + member_of(key) : file_of(key);
}

std::vector<std::string> ArraySet::members() const {
  std::vector<std::string> names;
  if (!archive_) return names;
  for (const ZipMember& member : archive_->members()) names.push_back(member.name);
  return names;
}

std::vector<fs::path> ArraySet::files(const std::vector<std::string>& keys) const {
  if (archive_) return {disk_};
  std::vector<fs::path> files;
  files.reserve(keys.size());
  for (const std::string& key : keys) files.push_back(path_ / (key + ".npy"));
  return files;
}

void ArraySet::fail(const std::string& key, const std::string& where, const std::string& what) const {
  const std::string member = member_of(key);
  throw InputError(file_of(key), member + (member.empty() || where.empty() ? "" : ", ") + where, what);
}

std::uint64_t edge_count(const ArraySet& arrays, const std::string& key) {
  const NpyReader reader = arrays.open(key);
  const NpyHeader& header = reader.header();
  if (!header.type.is_integer()) {
    arrays.fail(key, "", "holds " + header.type.text() + " values, expected integer node ids");
  }
  if (header.shape.size() != 2 || (header.shape[0] != 2 && header.shape[1] != 2)) {
    arrays.fail(key, "", "has shape " + header.shape_text() + ", expected (2, edges) or (edges, 2)");
  }
  return header.shape[0] == 2 ? header.shape[1] : header.shape[0];
}

void read_edge_arrays(const ArraySet& arrays, const std::string& key, const std::string& weight_key,
                      std::uint64_t nodes, MemoryBudget& budget, const GraphSource::EdgeSink& sink) {
  const std::uint64_t edges = edge_count(arrays, key);
  const std::uint64_t limit = nodes != 0 ? nodes : std::numeric_limits<NodeId>::max();
  NpyReader first = arrays.open(key);
  const bool interleaved = is_interleaved(first.header());
  // Sources and targets far apart: a second cursor on the same array stands where the targets begin.
  std::optional<NpyReader> second;
  if (!interleaved) {
    second.emplace(arrays.open(key));
    second->skip(edges);
  }
  std::optional<NpyReader> weights;
  if (!weight_key.empty()) weights.emplace(arrays.open(weight_key));
  const Array<std::int64_t> ids(budget, 2 * kBlock, "a block of edges");
  const Array<EdgePair> pairs(budget, kBlock, "a block of edges");
  const Array<float> values(budget, weights ? kBlock : 0, "a block of edge weights");
  const auto checked = [&](std::int64_t id, std::uint64_t edge) {
    if (id < 0 || static_cast<std::uint64_t>(id) >= limit) {
      arrays.fail(key, "edge " + number(edge),
                  "node id " + std::to_string(id) + " is not in [0, " + number(limit) + ")");
    }
    return static_cast<NodeId>(id);
  };
  for (std::uint64_t begin = 0; begin < edges; begin += kBlock) {
    const std::size_t count = std::min<std::uint64_t>(kBlock, edges - begin);
    if (interleaved) {
      first.read_as_int64({ids.data(), 2 * count});
    } else {
      first.read_as_int64({ids.data(), count});
      second->read_as_int64({ids.data() + count, count});
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t source = interleaved ? ids[2 * i] : ids[i];
      const std::int64_t target = interleaved ? ids[2 * i + 1] : ids[count + i];
      pairs[i] = {checked(source, begin + i), checked(target, begin + i)};
    }
    if (weights) {
      weights->read_as_float({values.data(), count});
      for (std::size_t i = 0; i < count; ++i) {
        if (!std::isfinite(values[i])) arrays.fail(weight_key, "edge " + number(begin + i), "the weight is not finite");
      }
    }
    sink({pairs.data(), count}, {values.data(), weights ? count : 0});
  }
}

std::uint64_t feature_columns(const ArraySet& arrays, const std::string& key, std::uint64_t nodes) {
  const NpyReader reader = arrays.open(key);
  const NpyHeader& header = reader.header();
  if (header.shape.empty() || header.shape.size() > 2 || header.rows() != nodes) {
    arrays.fail(key, "", "has shape " + header.shape_text() + ", expected " + number(nodes) + " rows of features");
  }
  if (header.fortran_order) {
    arrays.fail(key, "", "is stored column by column (Fortran order): save numpy.ascontiguousarray of it");
  }
  if (!header.type.is_float() && !header.type.is_integer()) {
    arrays.fail(key, "", "holds " + header.type.text() + " values, expected numbers");
  }
  return header.row_elements();
}

void read_feature_array(const ArraySet& arrays, const std::string& key, std::uint64_t nodes, MemoryBudget& budget,
                        const GraphSource::RowSink& sink) {
  const std::size_t columns = feature_columns(arrays, key, nodes);
  if (columns == 0) return;
  NpyReader reader = arrays.open(key);
  const std::size_t capacity = rows_per_block(columns);
  const Array<float> block(budget, capacity * columns, "a block of features");
  for (std::uint64_t row = 0; row < nodes; row += capacity) {
    const std::size_t rows = std::min<std::uint64_t>(capacity, nodes - row);
    reader.read_as_float({block.data(), rows * columns});
    sink(row, {block.data(), rows, columns});
  }
}

ImportedLabels read_label_array(const ArraySet& arrays, const std::string& key, std::uint64_t nodes,
                                std::uint64_t known_classes, MemoryBudget& budget) {
  NpyReader reader = arrays.open(key);
  const NpyHeader& header = reader.header();
  if (header.shape.empty() || header.shape.size() > 2 || header.rows() != nodes) {
    arrays.fail(key, "", "has shape " + header.shape_text() + ", expected labels of " + number(nodes) + " nodes");
  }
  const std::size_t columns = header.row_elements();
  if (columns == 0) return {};
  if (header.fortran_order && columns > 1) {
    arrays.fail(key, "", "is stored column by column (Fortran order): save numpy.ascontiguousarray of it");
  }
  LabelBuilder builder(
      budget, nodes, columns, columns > 1 ? 0 : known_classes,
      [&](std::uint64_t node, const std::string& what) { arrays.fail(key, "row " + number(node), what); });
  if (columns == 1) {
    std::vector<double> values(kBlock);
    for (std::uint64_t node = 0; node < nodes; node += kBlock) {
      const std::size_t count = std::min<std::uint64_t>(kBlock, nodes - node);
      reader.read_as_double({values.data(), count});
      for (std::size_t i = 0; i < count; ++i) builder.set_class(node + i, values[i]);
    }
  } else {
    std::vector<float> values(columns);
    for (std::uint64_t node = 0; node < nodes; ++node) {
      reader.read_as_float(values);
      builder.set_targets(node, values);
    }
  }
  return builder.take();
}

namespace {

// Booleans, or 0 and 1 in integers under a name that says so (train_mask; the geom-gcn splits).
bool is_mask(const NpyHeader& header, const std::string& key) {
  return header.type.kind == 'b' || (header.type.is_integer() && key.find("mask") != std::string::npos);
}

}  // namespace

bool is_mask_table(const ArraySet& arrays, const std::string& key) {
  const NpyReader reader = arrays.open(key);
  return is_mask(reader.header(), key) && reader.header().shape.size() == 2;
}

namespace {

// Row `index` of masks (S,N), or the only mask (N,).
std::vector<NodeId> read_mask(const ArraySet& arrays, const std::string& key, std::uint64_t nodes,
                              std::uint64_t index) {
  NpyReader reader = arrays.open(key);
  const NpyHeader header = reader.header();
  const bool table = header.shape.size() == 2;
  const std::uint64_t splits = table ? header.shape[0] : 1;
  if (header.shape.empty() || header.shape.size() > 2 || header.shape.back() != nodes) {
    arrays.fail(key, "", "has shape " + header.shape_text() + ", expected masks of " + number(nodes) + " nodes");
  }
  if (index >= splits) {
    arrays.fail(key, "", "has " + number(splits) + " splits: --split-index " + number(index) + " is not one of them");
  }
  // Fortran order stores the masks of one node side by side.
  const std::uint64_t step = table && header.fortran_order ? splits : 1;
  reader.skip(table && !header.fortran_order ? index * nodes : 0);
  std::vector<NodeId> ids;
  std::vector<std::int64_t> values(step);
  for (std::uint64_t node = 0; node < nodes; ++node) {
    reader.read_as_int64(values);
    const std::int64_t value = values[step == 1 ? 0 : index];
    if (value != 0 && value != 1) {
      arrays.fail(key, "element " + number(node), "is " + std::to_string(value) + ", but a mask holds 0 and 1");
    }
    if (value == 1) ids.push_back(static_cast<NodeId>(node));
  }
  return ids;
}

std::vector<NodeId> read_id_list(const ArraySet& arrays, const std::string& key, std::uint64_t nodes) {
  NpyReader reader = arrays.open(key);
  const NpyHeader& header = reader.header();
  if (!header.type.is_integer() || header.shape.size() != 1) {
    arrays.fail(key, "",
                "holds " + header.type.text() + " of shape " + header.shape_text() +
                    ", expected integer node ids or a boolean mask");
  }
  std::vector<std::int64_t> values(header.elements());
  reader.read_as_int64(values);
  std::vector<NodeId> ids;
  ids.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || static_cast<std::uint64_t>(values[i]) >= nodes) {
      arrays.fail(key, "element " + number(i),
                  "node id " + std::to_string(values[i]) + " is not in [0, " + number(nodes) + ")");
    }
    ids.push_back(static_cast<NodeId>(values[i]));
  }
  return ids;
}

}  // namespace

ImportedSplit read_split_array(const ArraySet& arrays, const std::string& key, const std::string& name,
                               std::uint64_t nodes, std::uint64_t index) {
  if (is_mask(arrays.open(key).header(), key)) {
    return make_split(name, arrays.place(key), read_mask(arrays, key, nodes, index),
                      [](NodeId node) { return "element " + std::to_string(node); });
  }
  return make_split(name, arrays.place(key), read_id_list(arrays, key, nodes), [arrays, key, nodes](NodeId node) {
    const std::vector<NodeId> ids = read_id_list(arrays, key, nodes);
    const auto found = std::find(ids.rbegin(), ids.rend(), node);  // the last occurrence is the offending one
    return "element " + std::to_string(ids.rend() - found - 1);
  });
}

}  // namespace strata
