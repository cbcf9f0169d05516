#include "storage/import/snap_layout.hpp"

#include <algorithm>
#include <map>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

enum class Role { none, edges, labels, communities, features };

// The last part of a name in lower case, without .gz or .zst.
std::string plain_name(const std::string& name) {
  std::string plain = fs::path(name).filename().string();
  std::transform(plain.begin(), plain.end(), plain.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const char* packed : {".gz", ".zst"}) {
    if (plain.ends_with(packed)) plain.erase(plain.size() - std::string(packed).size());
  }
  return plain;
}

bool ends_with_any(const std::string& name, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(), [&](const char* end) { return name.ends_with(end); });
}

bool starts_with_any(const std::string& name, std::initializer_list<const char*> starts) {
  return std::any_of(starts.begin(), starts.end(), [&](const char* start) { return name.starts_with(start); });
}

Role role_of(const std::string& name) {
  const std::string plain = plain_name(name);
  if (starts_with_any(plain, {"readme", "citing", "licen", "."})) return Role::none;
  if (plain == "nodes.csv" || plain == "groups.csv") return Role::none;
  if (ends_with_any(plain, {".json"})) return Role::features;
  if (ends_with_any(plain, {".cmty.txt", ".cmty"})) return Role::communities;
  if (ends_with_any(plain, {"target.csv", "labels.txt", "labels.csv", "group-edges.csv"})) return Role::labels;
  const bool edges = ends_with_any(plain, {".txt", ".csv", ".tsv", ".ungraph", ".edges", ".edgelist", ".el"});
  return edges ? Role::edges : Role::none;
}

LabelKind label_kind_of(const std::string& name) {
  const std::string plain = plain_name(name);
  if (ends_with_any(plain, {".cmty.txt", ".cmty"})) return LabelKind::communities;
  if (plain.ends_with("group-edges.csv")) return LabelKind::memberships;
  return plain.ends_with(".csv") ? LabelKind::table : LabelKind::lines;
}

// The file of one role; a packed copy beside the same file unpacked does not count.
std::string choose(const InputFiles& files, const std::vector<std::string>& candidates, const char* what,
                   const char* option) {
  std::map<std::string, std::string> by_plain_name;
  for (const std::string& name : candidates) {
    const std::string key = (fs::path(name).parent_path() / plain_name(name)).string();
    std::string& chosen = by_plain_name[key];
    if (chosen.empty() || name.size() < chosen.size()) chosen = name;
  }
  if (by_plain_name.empty()) return {};
  if (by_plain_name.size() > 1) {
    std::string names;
    for (const auto& entry : by_plain_name) names += (names.empty() ? "" : ", ") + entry.second;
    throw InputError(
        files.path().string(), "",
        std::string("holds several files that may be ") + what + " (" + names + "): name one with " + option);
  }
  return by_plain_name.begin()->second;
}

void choose_from_folder(const InputFiles& files, SnapLayout& layout) {
  std::map<Role, std::vector<std::string>> names;
  for (const std::string& name : files.list()) names[role_of(name)].push_back(name);
  const std::string edges = choose(files, names[Role::edges], "the edge list", "--input");
  if (edges.empty()) throw InputError(files.path().string(), "", "holds no edge list (.txt, .csv, .tsv, .ungraph)");
  layout.edges = files.file(edges);
  if (layout.label_kind == LabelKind::none) {
    const std::string labels = choose(files, names[Role::labels], "the labels", "--labels");
    const std::string communities =
        labels.empty() ? choose(files, names[Role::communities], "the communities", "--labels") : std::string();
    const std::string& chosen = labels.empty() ? communities : labels;
    if (!chosen.empty()) {
      layout.labels = files.file(chosen);
      layout.label_kind = label_kind_of(chosen);
    }
  }
  if (!layout.features.exists()) {
    const std::string features = choose(files, names[Role::features], "the features", "--features");
    if (!features.empty()) layout.features = files.file(features);
  }
}

InputFile named_file(const fs::path& path) {
  if (!fs::is_regular_file(path)) throw InputError(path.string(), "", "there is no such file");
  return InputFile(path);
}

}  // namespace

std::vector<InputFile> SnapLayout::all() const {
  std::vector<InputFile> files = {edges};
  if (label_kind != LabelKind::none) files.push_back(labels);
  if (features.exists()) files.push_back(features);
  return files;
}

SnapLayout find_snap_layout(const ImportOptions& options) {
  SnapLayout layout;
  if (!options.labels.empty()) {
    layout.labels = named_file(options.labels);
    layout.label_kind = label_kind_of(options.labels.filename().string());
  }
  if (!options.features.empty()) layout.features = named_file(options.features);
  const InputFiles files(options.input);
  if (files.is_single_file()) {
    layout.edges = InputFile(files.path());
  } else {
    choose_from_folder(files, layout);
  }
  return layout;
}

}  // namespace strata
