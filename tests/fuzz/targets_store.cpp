// The files of a store, and safetensors: whatever stands in them, they are read as what they say or refused.
#include <algorithm>

#include "kernels/base/error.hpp"
#include "storage/array_file.hpp"
#include "storage/npz.hpp"
#include "storage/row_file_layout.hpp"
#include "storage/safetensors.hpp"
#include "storage/sealed_json.hpp"
#include "storage/shard_layout.hpp"
#include "storage/store.hpp"
#include "storage/store_manifest.hpp"
#include "tests/fuzz/sealed_file.hpp"
#include "tests/storage/full_store.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::fuzz {

namespace {

namespace fs = std::filesystem;

void seal_shard(std::string& bytes) {
  using namespace shard_layout;
  for (std::size_t i = 0; i < kSections; ++i) {
    const std::size_t entry = kSectionTableAt + i * kSectionEntryBytes;
    const auto offset = load<std::uint64_t>(bytes, entry + kOffsetAt);
    const auto length = std::min<std::uint64_t>(load<std::uint64_t>(bytes, entry + kBytesAt), bytes.size());
    put(bytes, entry + kChecksumAt, checksum_of(bytes, offset, round_up(length, kBlockAlignment)));
  }
  seal_header(bytes);
}

void seal_rows(std::string& bytes) {
  using namespace row_layout;
  const std::uint64_t index = load<std::uint64_t>(bytes, kIndexBytesAt);
  const std::uint64_t tiles = std::min(load<std::uint64_t>(bytes, kTilesAt), index / sizeof(Entry));
  for (std::uint64_t i = 0; i < tiles && i < 1000; ++i) {
    const std::size_t at = kHeaderBytes + i * sizeof(Entry);
    const auto entry = load<Entry>(bytes, at);
    if (entry.bytes <= bytes.size()) put(bytes, at + 16, checksum_of(bytes, entry.offset, entry.slot()));
  }
  put(bytes, kIndexChecksumAt, checksum_of(bytes, kHeaderBytes, index));
  seal_header(bytes);
}

void seal_nothing(std::string&) {}

// A store that has everything, made once a process.
struct Template {
  Template() {
    test::FullStore().write(dir.path() / "store");
    const Store store(path());
    info = store.info();
    files = store.listed_files();
  }
  [[nodiscard]] fs::path path() const { return dir.path() / "store"; }
  TempDir dir;
  StoreInfo info;
  std::vector<StoreFile> files;
};

const Template& full_store() {
  static const Template store;
  return store;
}

void read_all_rows(const Shard& shard, MemoryBudget& budget) {
  EdgeSpace space(budget);
  for_each_chunk(shard, space, [](const SparseRows&) {});
}

// The manifest says of a shard what the shard's header says.
ShardInfo info_of(const std::string& bytes, ShardInfo info) {
  using namespace shard_layout;
  info.first_row = static_cast<NodeId>(load<std::uint64_t>(bytes, kFirstRowAt));
  info.rows = static_cast<NodeId>(load<std::uint64_t>(bytes, kRowsAt));
  info.edges = load<std::uint64_t>(bytes, kEdgesAt);
  info.halo = load<std::uint64_t>(bytes, kHaloAt);
  info.file_bytes = load<std::uint64_t>(bytes, kFileBytesAt);
  info.largest_chunk = load<std::uint64_t>(bytes, kLargestChunkAt);
  info.coding = static_cast<ColumnCoding>(load<std::uint32_t>(bytes, kColumnCodingAt));
  info.column_bytes = load<std::uint64_t>(
      bytes, kSectionTableAt + static_cast<std::size_t>(Section::columns) * kSectionEntryBytes + kBytesAt);
  info.checksum = load<std::uint64_t>(bytes, kHeaderBytes - 8);
  return info;
}

void run_shard(const FuzzTarget&, const FuzzInput& input, const fs::path& scratch) {
  const std::string bytes = file_of<seal_shard>(input);
  write_file_atomically(scratch / "a.shard", bytes);
  ShardInfo info = full_store().info.in_shards.at(0);
  if (input[1] == kSealed) info = info_of(bytes, info);
  info.file = "a.shard";
  MemoryBudget budget(kBudget);
  const Shard shard(scratch, info, budget);
  try {
    read_all_rows(shard, budget);  // bytes that are not coded rows are damage, and no more
  } catch (const DamagedError&) {
  }
  shard.check_sections();
  shard.verify();
  read_all_rows(shard, budget);
}

void run_rows(const FuzzTarget&, const FuzzInput& input, const fs::path& scratch) {
  write_file_atomically(scratch / "a.rows", file_of<seal_rows>(input));
  MemoryBudget budget(kBudget);
  const RowFileReader reader(scratch / "a.rows", budget);
  reader.verify();
}

void run_array(const FuzzTarget&, const FuzzInput& input, const fs::path& scratch) {
  write_file_atomically(scratch / "a.array", file_of<seal_content<48>>(input));
  verify_array(scratch / "a.array");
  const ArrayInfo info = read_array_info(scratch / "a.array");
  MemoryBudget budget(kBudget);
  const Array<std::byte> values(budget, info.value_bytes(), "values");
  read_array_bytes(scratch / "a.array", info, values.span());
}

void run_safetensors(const FuzzTarget&, const FuzzInput& input, const fs::path& scratch) {
  write_file_atomically(scratch / "a.safetensors", file_of<seal_nothing>(input));
  std::map<std::string, std::string> metadata;
  for (const NamedTensor& tensor : read_safetensors(scratch / "a.safetensors", &metadata)) {
    std::size_t count = 1;
    for (const std::size_t d : tensor.shape) count *= d;
    if (count != tensor.values.size()) throw Finding{"a tensor whose values are not those of its shape"};
  }
}

// "{ ... }" with its checksum, or the text as it is when it is no object.
std::string json_of(const FuzzInput& input) {
  const bool sealable = input[1] == kSealed && input[0].size() > 2 && input[0].ends_with("\n}");
  return sealable ? seal_json(input[0]) : input[0];
}

void read_store(const Store& store) {
  MemoryBudget budget(kBudget);
  const StoreInfo& info = store.info();
  static_cast<void>(store.labels(budget));
  for (const Direction direction : {Direction::in, Direction::out}) {
    if (direction == Direction::out && !info.has_reverse) continue;
    static_cast<void>(store.degrees(direction, budget));
    for (std::size_t i = 0; i < store.shards(direction).size(); ++i) {
      read_all_rows(store.open_shard(direction, i, budget), budget);
    }
  }
  if (info.weighted) static_cast<void>(store.weighted_degrees(budget));
  for (const SplitInfo& split : info.splits) static_cast<void>(store.split(split.name, budget));
  static_cast<void>(store.original_ids(budget));
  static_cast<void>(store.reordered_ids(budget));
  static_cast<void>(store.external_ids(budget));
  store.features(budget).verify();
  store.verify([](const std::string&) {});
}

void run_manifest(const FuzzTarget&, const FuzzInput& input, const fs::path& scratch) {
  const fs::path store = scratch / "store";
  fs::create_directories(store);
  for (const auto& entry : fs::directory_iterator(full_store().path())) {
    if (entry.path().filename() == kManifestName || entry.path().filename() == ".lock") continue;
    fs::create_symlink(entry.path(), store / entry.path().filename());
  }
  write_file_atomically(store / kManifestName, json_of(input));
  read_store(Store(store));
}

void run_derived_manifest(const FuzzTarget&, const FuzzInput& input, const fs::path&) {
  static_cast<void>(parse_derived_manifest("manifest.json", json_of(input)));
}

void run_sealed_json(const FuzzTarget&, const FuzzInput& input, const fs::path&) {
  const std::string text = json_of(input);
  check_sealed_json("manifest.json", text);
  if (seal_json(text.substr(0, text.rfind(",\n")) + "\n}") != text)
    throw Finding{"a text that seal_json did not write"};
}

// A text that seal_json wrote, as it is and as what it sealed.
FuzzTarget json_target(const std::string& name, decltype(FuzzTarget::run) run, const std::string& text) {
  return {
      name, {"file", "mode"}, {{text.substr(0, text.rfind(",\n")) + "\n}", kSealed}, {text, "as it is"}}, true, run};
}

std::string file_with_role(const std::string& role) {
  for (const StoreFile& file : full_store().files) {
    if (file.role == role) return read_file(full_store().path() / file.file);
  }
  throw Finding{"no file of role " + role};
}

std::string safetensors_bytes() {
  const TempDir dir;
  write_safetensors(dir / "a", std::vector<NamedTensor>{{"a.weight", {2, 2}, {1, 2, 3, 4}}, {"b", {}, {5}}},
                    {{"format", "pt"}});
  return read_file(dir / "a");
}

}  // namespace

std::vector<FuzzTarget> store_targets() {
  const std::string derived = derived_manifest_text("{\n  \"what\": \"test\"\n}", {{"z.rows", "", "rows", 4096, 1}});
  return {file_target("shard", run_shard, file_with_role("in_shard")),
          file_target("rows", run_rows, file_with_role("features")),
          file_target("array", run_array, file_with_role("in_degrees")),
          file_target("safetensors", run_safetensors, safetensors_bytes()),
          json_target("manifest", run_manifest, read_file(full_store().path() / kManifestName)),
          json_target("derived-manifest", run_derived_manifest, derived),
          json_target("sealed-json", run_sealed_json, seal_json("{\n  \"a\": 1,\n  \"b\": [1, 2]\n}"))};
}

}  // namespace strata::fuzz
