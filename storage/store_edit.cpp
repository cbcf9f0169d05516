#include "storage/store_edit.hpp"

#include <algorithm>
#include <functional>

#include "kernels/base/error.hpp"
#include "kernels/loss.hpp"
#include "storage/array_file.hpp"
#include "storage/store_files.hpp"
#include "storage/store_writer.hpp"

namespace strata {

namespace {
DirectoryLock lock_exclusive(const fs::path& directory) {
  require_store(directory);
  return {directory, DirectoryLock::Kind::exclusive};
}
}  // namespace

StoreEditor::StoreEditor(const fs::path& directory)
    : store_(directory, lock_exclusive(directory)), manifest_{store_.info(), store_.listed_files()} {
  clear_left_overs();
}

// Arrays that an earlier edit wrote or replaced and could not remove.
void StoreEditor::clear_left_overs() const {
  for (const fs::directory_entry& entry : fs::directory_iterator(store_.path())) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.ends_with(".array") && (name.starts_with("split-") || name.starts_with("label"));
    const bool listed = std::any_of(manifest_.files.begin(), manifest_.files.end(),
                                    [&](const StoreFile& file) { return file.file == name; });
    if (ours && !listed) fs::remove(entry.path());
  }
}

std::string StoreEditor::vacant_name(const std::string& stem) const {
  for (unsigned number = 1;; ++number) {
    std::string name = stem + (number > 1 ? "." + std::to_string(number) : "") + ".array";
    if (!fs::exists(store_.path() / name)) return name;
  }
}

void StoreEditor::drop(const std::string& role) {
  std::erase_if(manifest_.files, [&](const StoreFile& file) { return file.role == role; });
}

void StoreEditor::list_file(const std::string& file, const std::string& role) {
  manifest_.files.push_back(describe_file(store_.path(), file, role));
}

void StoreEditor::put_split(const std::string& name, std::span<const NodeId> nodes) {
  require_split_name(name);
  STRATA_ASSERT(std::is_sorted(nodes.begin(), nodes.end(), std::less_equal<>()));  // strictly: no repeats
  STRATA_ASSERT(nodes.empty() || nodes.back() < store_.info().nodes);
  if (name == "train" && store_.info().train_graph.present) {
    throw InputError(store_.path().string(), "",
                     "holds the training graph of its split train, which therefore stays; convert the data set again "
                     "with another split");
  }
  const std::string file = vacant_name("split-" + name);
  const ArrayInfo written = write_array(store_.path() / file, nodes);
  std::vector<SplitInfo>& splits = manifest_.info.splits;
  auto split = std::find_if(splits.begin(), splits.end(), [&](const SplitInfo& s) { return s.name == name; });
  if (split == splits.end()) split = splits.insert(splits.end(), SplitInfo{name, 0, "", 0});
  std::erase_if(manifest_.files, [&](const StoreFile& f) { return f.file == split->file; });
  *split = {name, nodes.size(), file, written.checksum};
  list_file(file, "split");
}

void StoreEditor::put_labels(std::span<const std::int32_t> labels, std::uint64_t classes, const std::string& metric) {
  STRATA_ASSERT(labels.size() == store_.info().nodes && classes > 0);
  const std::string file = vacant_name("labels");
  write_array(store_.path() / file, labels);
  drop("labels");
  drop("labelled");
  list_file(file, "labels");
  manifest_.info.task = Task::multiclass;
  manifest_.info.classes = classes;
  manifest_.info.metric = metric;
  manifest_.info.labelled =
      labels.size() - static_cast<std::uint64_t>(std::count(labels.begin(), labels.end(), kUnlabelled));
}

void StoreEditor::put_labels(std::span<const std::uint8_t> targets, std::span<const std::uint8_t> labelled,
                             std::uint64_t classes, const std::string& metric) {
  const std::size_t stride = divide_up(classes, 8);
  STRATA_ASSERT(labelled.size() == store_.info().nodes && classes > 0 && targets.size() == labelled.size() * stride);
  const std::string targets_file = vacant_name("labels");
  const std::string labelled_file = vacant_name("labelled");
  write_array(store_.path() / targets_file, targets, stride);
  write_array(store_.path() / labelled_file, labelled);
  drop("labels");
  drop("labelled");
  list_file(targets_file, "labels");
  list_file(labelled_file, "labelled");
  manifest_.info.task = Task::multilabel;
  manifest_.info.classes = classes;
  manifest_.info.metric = metric;
  manifest_.info.labelled =
      labelled.size() - static_cast<std::uint64_t>(std::count(labelled.begin(), labelled.end(), 0));
}

void StoreEditor::commit() {
  const std::string contradiction = contradiction_in(manifest_.info);
  STRATA_ASSERT(contradiction.empty());
  write_file_atomically(store_.path() / kManifestName, manifest_text(manifest_));
  clear_left_overs();
}

}  // namespace strata
