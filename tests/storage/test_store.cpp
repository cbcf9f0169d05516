#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/derived.hpp"
#include "storage/store.hpp"
#include "storage/store_edit.hpp"
#include "storage/store_writer.hpp"
#include "tests/storage/full_store.hpp"
#include "tests/storage/in_child.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tiny_store.hpp"

namespace strata::test {
namespace {

void verify_all(const fs::path& directory) {
  Store(directory).verify([](const std::string&) {});
}

void check_direction(const Store& store, const FullStore& full, Direction direction, MemoryBudget& budget) {
  const auto& adjacency = direction == Direction::in ? full.in : full.out;
  const Array<std::uint32_t> degrees = store.degrees(direction, budget);
  for (std::size_t i = 0; i < store.shards(direction).size(); ++i) {
    const Shard shard = store.open_shard(direction, i, budget);
    EdgeSpace space(budget);
    const SparseRows rows = shard.rows(0, shard.info().rows, space);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      const NodeId node = rows.first_row + static_cast<NodeId>(r);
      std::vector<NodeId> found;
      for (EdgeId e = rows.offsets[r]; e < rows.offsets[r + 1]; ++e) found.push_back(rows.to_row[rows.columns[e]]);
      CHECK(found == adjacency[node]);
      CHECK(degrees[node] == adjacency[node].size());
    }
  }
}

TEST_CASE("store: everything that was written is read back") {
  TempDir dir;
  const FullStore full;
  full.write(dir / "store");
  MemoryBudget budget(std::uint64_t{64} << 20);
  {
    const Store store(dir / "store");
    const StoreInfo& info = store.info();
    CHECK(info.nodes == FullStore::kNodes);
    CHECK(info.has_reverse);
    CHECK(info.in_shards.size() == 3);
    CHECK(info.labelled == static_cast<std::uint64_t>(std::count(full.labelled.begin(), full.labelled.end(), 1)));
    check_direction(store, full, Direction::in, budget);
    check_direction(store, full, Direction::out, budget);
    const Labels labels = store.labels(budget);
    CHECK(labels.target_stride == 2);
    for (NodeId node = 0; node < FullStore::kNodes; ++node) {
      CHECK(labels.labelled[node] == full.labelled[node]);
      for (std::uint64_t c = 0; c < FullStore::kClasses; ++c) {
        CHECK((labels.targets[node * 2 + c / 8] >> (c % 8) & 1) == full.targets[node][c]);
      }
    }
    const Array<NodeId> original = store.original_ids(budget);
    const Array<NodeId> reordered = store.reordered_ids(budget);
    CHECK(std::equal(original.begin(), original.end(), full.original.begin(), full.original.end()));
    for (NodeId node = 0; node < FullStore::kNodes; ++node) CHECK(reordered[original[node]] == node);
    const Array<NodeId> valid = store.split("valid", budget);
    CHECK(std::equal(valid.begin(), valid.end(), full.valid.begin(), full.valid.end()));
    CHECK(!store.has_split("other"));
    CHECK_THROWS_AS(static_cast<void>(store.split("other", budget)), InputError);
    CHECK(store.features(budget).shape().cols == FullStore::kColumns);
    CHECK(store.weighted_degrees(budget).size() == FullStore::kNodes);
  }
  CHECK(budget.used() == 0);
  verify_all(dir / "store");
}

TEST_CASE("store: small ones, empty ones, and what they lack") {
  TempDir dir;
  for (const std::uint32_t nodes : {0u, 1u, 5u, 1024u, 1025u}) {
    CAPTURE(nodes);
    TinyStoreOptions options;
    options.nodes = nodes;
    options.shard_rows = kChunkRows;
    const fs::path path = dir / std::to_string(nodes);
    const TinyGraph graph = make_tiny_store(path, options);
    verify_all(path);
    const Store store(path);
    MemoryBudget budget(std::uint64_t{64} << 20);
    CHECK(store.info().nodes == nodes);
    CHECK(&store.shards(Direction::out) == &store.shards(Direction::in));  // undirected
    const Labels labels = store.labels(budget);
    CHECK(std::equal(labels.classes.begin(), labels.classes.end(), graph.labels.begin(), graph.labels.end()));
    CHECK_THROWS_AS(static_cast<void>(store.weighted_degrees(budget)), InputError);
  }
}

TEST_CASE("store: a place that is none") {
  TempDir dir;
  CHECK_THROWS_AS(Store(dir / "absent"), InputError);
  CHECK_THROWS_AS(Store(dir.path()), InputError);
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("store writer: existing outputs stay unless forced, and only stores are replaced") {
  TempDir dir;
  TinyStoreOptions options;
  const TinyGraph graph = make_tiny_store(dir / "store", options);
  const FullStore full;
  CHECK_THROWS_AS(full.write(dir / "store"), UsageError);
  CHECK(Store(dir / "store").info().name == "tiny");
  {
    const Store in_use(dir / "store");
    CHECK_THROWS_AS(full.write(dir / "store", true), UsageError);
  }
  full.write(dir / "store", true);
  CHECK(Store(dir / "store").info().name == "full");
  fs::create_directory(dir / "precious");
  write_file_atomically(dir.path() / "precious" / "thesis.tex", "years of work");
  CHECK_THROWS_AS(full.write(dir / "precious", true), UsageError);
  CHECK(read_file(dir.path() / "precious" / "thesis.tex") == "years of work");
  write_file_atomically(dir / "file", "");
  CHECK_THROWS_AS(full.write(dir / "file", true), UsageError);
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 3);
}

TEST_CASE("store writer: parts that contradict each other make no store") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{16} << 20);
  const std::vector<EdgeId> offsets{0, 1, 1};
  const std::vector<NodeId> sources{1};
  const std::vector<std::uint32_t> degrees{1, 0}, wrong_degrees{1, 1};
  const std::vector<NodeId> identity{0, 1}, one{0}, beyond{2};
  const std::vector<std::int32_t> labels{0, 2};
  enum { none, bad_degrees, bad_permutation, bad_split, bad_classes, bad_nodes };
  for (int fault = none; fault <= bad_nodes; ++fault) {
    CAPTURE(fault);
    StoreWriter writer(dir / "store", true, budget);
    writer.add_shard(Direction::in, write_shard(writer.path(), "in-0.shard", 0, offsets, sources, {}));
    writer.write_degrees(Direction::in, fault == bad_degrees ? wrong_degrees : degrees);
    writer.write_permutation(fault == bad_permutation ? one : identity);
    writer.write_split("train", fault == bad_split ? beyond : one);
    writer.write_labels(labels);
    StoreInfo info;
    info.nodes = fault == bad_nodes ? 3 : 2;
    info.classes = fault == bad_classes ? 2 : 3;
    if (fault == none) {
      CHECK_NOTHROW(writer.finish(info, ""));
      CHECK(!Store(dir / "store").info().has_reverse);
      CHECK_THROWS_AS(static_cast<void>(Store(dir / "store").shards(Direction::out)), InputError);
      CHECK_THROWS_AS(static_cast<void>(Store(dir / "store").features(budget)), InputError);
      fs::remove_all(dir / "store");
    } else {
      CHECK_THROWS_AS(writer.finish(info, ""), InputError);
    }
  }
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("store writer: killed or failing at any call, the old store or the new one is there, whole") {
  TempDir dir;
  TinyStoreOptions old_options;
  old_options.nodes = 7;
  TinyStoreOptions new_options;
  new_options.nodes = 9;
  const TinyGraph graph = make_tiny_graph(new_options);
  int killed = 0, replaced = 0;
  for (const char* operation : {"write", "sync", "rename"}) {
    for (const char* action : {"kill", "enospc"}) {
      ChildEnd end = ChildEnd::killed;
      for (int n = 1; end != ChildEnd::done; ++n) {
        const std::string point = std::string(operation) + ":" + std::to_string(n) + ":" + action;
        CAPTURE(point);
        fs::remove_all(dir / "store");
        end = in_child([&] {
          set_failpoint(point);
          write_tiny_store(dir / "store", new_options, graph);
        });
        killed += end == ChildEnd::killed ? 1 : 0;
        if (fs::exists(dir / "store")) {
          ++replaced;
          verify_all(dir / "store");
          CHECK(Store(dir / "store").info().nodes == 9);
        } else {
          CHECK(end != ChildEnd::done);
        }
        REQUIRE(n < 300);
      }
    }
  }
  CHECK(killed > 40);
  CHECK(replaced >= 6);
  fs::remove_all(dir / "store");
  const TinyGraph old_graph = make_tiny_store(dir / "store", old_options);  // clears what the killed ones left
  CHECK(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()) == 1);
}

TEST_CASE("store writer: a forced replacement killed anywhere leaves one of the two") {
  TempDir dir;
  FullStore full;
  ChildEnd end = ChildEnd::killed;
  for (int n = 1; end != ChildEnd::done; ++n) {
    fs::remove_all(dir / "store");
    make_tiny_store(dir / "store", TinyStoreOptions{});
    end = in_child([&] {
      set_failpoint("sync:" + std::to_string(n) + ":kill");
      full.write(dir / "store", true);
    });
    verify_all(dir / "store");
    const std::string name = Store(dir / "store").info().name;
    CHECK((name == "tiny" || name == "full"));
    REQUIRE(n < 300);
  }
  CHECK(Store(dir / "store").info().name == "full");
}

TEST_CASE("store edit: splits and labels are replaced, atomically") {
  TempDir dir;
  const FullStore full;
  full.write(dir / "store");
  MemoryBudget budget(std::uint64_t{16} << 20);
  const std::vector<NodeId> nodes{3, 5, 2099};
  const auto edit = [&] {
    StoreEditor editor(dir / "store");
    editor.put_split("train", nodes);
    editor.put_split("mine", nodes);
    std::vector<std::int32_t> labels(FullStore::kNodes, 4);
    labels[0] = -1;
    editor.put_labels(labels, 5, "accuracy");
    editor.commit();
  };
  for (const char* operation : {"write", "sync", "rename"}) {
    ChildEnd end = ChildEnd::killed;
    for (int n = 1; end != ChildEnd::done; ++n) {
      full.write(dir / "store", true);
      end = in_child([&] {
        set_failpoint(std::string(operation) + ":" + std::to_string(n) + ":kill");
        edit();
      });
      verify_all(dir / "store");
      const Store store(dir / "store");
      const bool edited = store.has_split("mine");
      CHECK(store.split("train", budget).size() == (edited ? nodes.size() : full.train.size()));
      CHECK((store.info().task == Task::multiclass) == edited);
      REQUIRE(n < 100);
    }
  }
  edit();  // a second edit of the same things
  const Store store(dir / "store");
  const Array<NodeId> train = store.split("train", budget);
  CHECK(std::equal(train.begin(), train.end(), nodes.begin(), nodes.end()));
  CHECK(store.split("valid", budget).size() == full.valid.size());
  CHECK(store.labels(budget).classes[1] == 4);
  CHECK(store.info().labelled == FullStore::kNodes - 1);
  verify_all(dir / "store");
  // Nothing lies about that the manifest does not list.
  std::size_t found = 0;
  for (const auto& entry : fs::directory_iterator(dir / "store")) found += entry.path().filename() != ".lock" ? 1 : 0;
  CHECK(found == store.listed_files().size() + 1);
  CHECK_THROWS_AS(StoreEditor(dir / "store"), UsageError);  // in use
}

TEST_CASE("derived data: appears as a whole, is listed, verified and removed") {
  TempDir dir;
  make_tiny_store(dir / "store", TinyStoreOptions{});
  {
    const Store store(dir / "store");
    CHECK(!has_derived(store, "z"));
    CHECK_THROWS_AS(static_cast<void>(has_derived(store, "../z")), UsageError);
    { const DerivedWriter abandoned(store, "z"); }
    CHECK(!has_derived(store, "z"));
    CHECK(derived_keys(dir / "store").empty());
    FullStore::write_derived(dir / "store", "z");
    FullStore::write_derived(dir / "store", "z");  // a second one of the same key changes nothing
    CHECK(has_derived(store, "z"));
    CHECK(derived_info(dir / "store", "z").files == 3);
    CHECK(derived_info(dir / "store", "z").about == R"({"what":"test"})");
    const std::vector<std::string> files = store.files();
    CHECK(std::count(files.begin(), files.end(), "derived/z/z.rows") == 1);
    store.verify([](const std::string&) {});
    CHECK_THROWS_AS(remove_derived(dir / "store", "z"), UsageError);  // in use
  }
  CHECK_THROWS_AS(remove_derived(dir / "store", "y"), InputError);
  remove_derived(dir / "store", "z");
  CHECK(derived_keys(dir / "store").empty());
  CHECK(fs::is_empty(dir.path() / "store" / "derived"));
}

TEST_CASE("store: a shard damaged after opening the store is found before it is used") {
  TempDir dir;
  const FullStore full;
  full.write(dir / "store");
  const Store store(dir / "store");
  MemoryBudget budget(std::uint64_t{64} << 20);
  const std::string name = store.info().in_shards[1].file;
  const File file(dir.path() / "store" / name, File::Mode::read_write);
  std::byte one{};
  file.read_at(20'000, {&one, 1});
  one ^= std::byte{0x40};
  file.write_at(20'000, {&one, 1});
  CHECK_NOTHROW(static_cast<void>(store.open_shard(Direction::in, 0, budget)));
  CHECK_THROWS_AS(static_cast<void>(store.open_shard(Direction::in, 1, budget)), DamagedError);
}

}  // namespace
}  // namespace strata::test
