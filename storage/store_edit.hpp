// Replacing a store's labels and splits. New files get names of their own, the manifest is replaced atomically, and
// only then what it no longer lists is removed: a store killed in between is the old one or the new one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "storage/store.hpp"
#include "storage/store_manifest.hpp"

namespace strata {

class StoreEditor {
 public:
  // UsageError when the store is in use.
  explicit StoreEditor(const std::filesystem::path& directory);
  [[nodiscard]] const Store& store() const { return store_; }

  // Ascending reordered ids; replaces the split of that name.
  void put_split(const std::string& name, std::span<const NodeId> nodes);
  // As StoreWriter::write_labels; `classes` columns of logits, judged by `metric`.
  void put_labels(std::span<const std::int32_t> labels, std::uint64_t classes, const std::string& metric);
  void put_labels(std::span<const std::uint8_t> targets, std::span<const std::uint8_t> labelled, std::uint64_t classes,
                  const std::string& metric);
  void commit();

 private:
  void clear_left_overs() const;
  // A name for a new file that nothing has yet: STEM.array, STEM.2.array, ...
  [[nodiscard]] std::string vacant_name(const std::string& stem) const;
  void drop(const std::string& role);
  void list_file(const std::string& file, const std::string& role);

  Store store_;
  StoreManifest manifest_;
};

}  // namespace strata
