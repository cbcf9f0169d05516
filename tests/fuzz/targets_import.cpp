// The readers of strata-convert: an input becomes a store that verifies, or a typed error, and nothing is left behind.
#include <cmath>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/import/input_files.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/import/import_fixtures.hpp"

namespace strata::fuzz {

namespace {

namespace fs = std::filesystem;
using namespace strata::test;
using Files = std::map<std::string, std::string>;

std::uint64_t checksum_of(const std::string& bytes) { return checksum(std::as_bytes(std::span(bytes))); }

void convert_input(const FuzzTarget& target, SourceKind from, const fs::path& input, const fs::path& scratch) {
  fs::create_directories(scratch / "out");
  ImportOptions options = import_options(from, input, scratch / "out" / "s");
  options.edge_feature_means = target.name == "ogb-edge-features";
  const auto check_left = [&](const std::vector<std::string>& expected) {
    if (entries_of(scratch / "out") != expected) throw Finding{"something else than the store was left behind"};
  };
  try {
    const std::unique_ptr<GraphSource> source = open_source(options);
    convert(*source, options, nullptr);
    if (!verify_conversion(*source, options, nullptr).starts_with("verified"))
      throw Finding{"the store is not verified"};
  } catch (const Error&) {
    check_left({});
    throw;
  }
  check_left({"s"});
}

// A folder of the files, or a zip archive of them that is read in place: of every three inputs one, by its bytes.
template <SourceKind from>
void run_folder(const FuzzTarget& target, const FuzzInput& input, const fs::path& scratch) {
  const std::uint64_t hash = checksum_of(join(input));
  Files files;
  for (std::size_t i = 0; i < input.size(); ++i) files[target.files[i]] = input[i];
  if (hash % 3 == 2) {
    fs::create_directories(scratch / "in");
    write_zip(scratch / "in" / "x.zip", files, hash % 2 == 0);
    return convert_input(target, from, scratch / "in" / "x.zip", scratch);
  }
  for (const auto& [name, bytes] : files) write_text(scratch / "in" / "x" / name, bytes);
  convert_input(target, from, scratch / "in" / "x", scratch);
}

// One file, which is the whole input.
template <SourceKind from>
void run_file(const FuzzTarget& target, const FuzzInput& input, const fs::path& scratch) {
  const fs::path file = scratch / "in" / target.files[0];
  write_text(file, input[0]);
  convert_input(target, from, file, scratch);
}

// Archives of arrays made anew from the arrays, so that their checksums are right: `files` names them ARCHIVE/ARRAY.
template <SourceKind from>
void run_archives(const FuzzTarget& target, const FuzzInput& input, const fs::path& scratch) {
  std::map<std::string, Files> archives;
  const fs::path folder = scratch / "in" / "x";
  for (std::size_t i = 0; i < input.size(); ++i) {
    const fs::path name = target.files[i];
    if (name.parent_path().extension() == ".npz" || name.parent_path().extension() == ".pt") {
      archives[name.parent_path().string()]
              [name.filename() == "data.pkl" ? "meta/data.pkl" : name.filename().string()] = input[i];
    } else {
      write_text(folder / name, input[i]);
    }
  }
  for (const auto& [name, members] : archives) {
    fs::create_directories((folder / name).parent_path());
    write_zip(folder / name, members, input[0].size() % 2 == 0);
  }
  convert_input(target, from, folder, scratch);
}

FuzzTarget target(const std::string& name, decltype(FuzzTarget::run) run, const std::vector<Files>& seeds) {
  FuzzTarget result{name, {}, {}, false, run};
  for (const auto& [file, bytes] : seeds.at(0)) result.files.push_back(file);
  for (const Files& seed : seeds) {
    FuzzInput input;
    for (const std::string& file : result.files) input.push_back(seed.at(file));
    result.seeds.push_back(std::move(input));
  }
  return result;
}

// All files below a folder, unpacked where they are gzip.
Files files_below(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::unique_ptr<ByteSource> source = InputFile(entry.path()).open_text();
    std::string& text = files[entry.path().lexically_relative(folder).generic_string()];
    std::byte piece[4096];
    while (const std::size_t got = source->read(piece)) text.append(reinterpret_cast<const char*>(piece), got);
  }
  return files;
}

template <class Write>
Files written(Write&& write) {
  const TempDir dir;
  write(dir.path());
  return files_below(dir.path());
}

struct Arrays {
  std::string edges = npy_bytes("<i8", "(2, 3)", std::vector<std::int64_t>{0, 1, 2, 1, 2, 0});
  std::string pairs = npy_bytes("<i4", "(3, 2)", std::vector<std::int32_t>{0, 1, 1, 2, 2, 0});
  std::string features = npy_bytes("<f4", "(3, 2)", std::vector<float>{1, 2, 3, 4, 5, 6});
  std::string doubles = npy_bytes("<f8", "(3, 2)", std::vector<double>{1, 3, 5, 2, 4, 6});
  std::string halves = npy_bytes("<f2", "(3, 1)", std::vector<std::uint16_t>{0x3c00, 0x4000, 0xc000});
  std::string labels = npy_bytes("<f4", "(3,)", std::vector<float>{0, NAN, 1});
  std::string classes = npy_bytes("<i8", "(3, 1)", std::vector<std::int64_t>{1, 0, -1});
  std::string ids = npy_bytes("<i8", "(1,)", std::vector<std::int64_t>{0});
  std::string mask = npy_bytes("|b1", "(3,)", std::string("\1\0\0", 3));
  std::string weights = npy_bytes("<f4", "(3,)", std::vector<float>{0.5f, 1, 2});
};

Files npy_set(const Arrays& a, bool other) {
  return {{"edge_index.npy", other ? a.pairs : a.edges},
          {"node_feat.npy", other ? a.doubles : a.features},
          {"node_label.npy", other ? a.classes : a.labels},
          {"train.npy", other ? a.mask : a.ids},
          {"edge_weight.npy", a.weights}};
}

std::string zip_bytes(const Files& members, bool deflated) {
  return written([&](const fs::path& folder) { write_zip(folder / "x", members, deflated); }).at("x");
}

std::string gzip_bytes(const Lines& lines) {
  const TempDir dir;
  write_gz(dir / "x", lines);
  return read_file(dir / "x");
}

std::vector<FuzzTarget> text_targets() {
  const Lines edges = {"# Nodes: 3 Edges: 3", "5\t7", "7\t90", "90 5 1"};
  std::string text;
  for (const std::string& line : edges) text += line + "\n";
  const std::string plain_pairs = "0,1\n1,2\n2,0\n";
  return {
      target("snap", run_folder<SourceKind::snap>,
             {{{"g.txt", "# Nodes: 3 Edges: 3\n5\t7\r\n7\t90\n90 5 1\n"}, {"g-labels.txt", "5 a\n7 b\n90 -1\n"}},
              {{"g.txt", plain_pairs}, {"g-labels.txt", "0 1\n1 0\n2 1\n"}}}),
      target("snap-packed", run_file<SourceKind::snap>,
             {{{"g.txt.gz", gzip_bytes(edges)}}, {{"g.txt.gz", zstd_bytes(text)}}, {{"g.txt.gz", text}}}),
      target("musae", run_folder<SourceKind::snap>,
             {{{"x_edges.csv", "id_1,id_2\n0,1\n1,2\n"},
               {"x_target.csv", "id,name,type\n0,\"a, \"\"b\"\"\",x\n1,c,y\n2,\"d\ne\",x\n"},
               {"x_features.json", "{\"0\": [1, 2], \"2\":[ ], \"1\" : [0]}"}}}),
      target("communities", run_folder<SourceKind::snap>, {{{"g.ungraph", "0 1\n1 2\n"}, {"g.cmty", "0\t1\n1\t2\n"}}}),
      target("graphsage", run_folder<SourceKind::graphsaint>,
             {{{"x-G.json",
                "{\"directed\": false, \"nodes\": [{\"id\": \"a\", \"val\": false, \"test\": true}, {\"id\": "
                "\"\\u00e4\"}],"
                " \"links\": [{\"source\": 0, \"target\": 1}], \"graph\": {\"n\": [null, 1.5e3]}}"},
               {"x-id_map.json", "{\"\\u00e4\": 0, \"a\": 1}"},
               {"x-class_map.json", "{\"a\": 1, \"\\u00e4\": 0}"}}}),
  };
}

std::vector<FuzzTarget> array_targets(const Arrays& a) {
  static constexpr std::string_view kMeta(
      "\x80\x02}q\x00(X\x05\x00\x00\x00paperq\x01K\x03X\x0b\x00\x00\x00num_classesq\x02K\x02u.", 42);
  const std::string meta = zip_bytes({{"meta/data.pkl", std::string(kMeta)}}, false);
  const Files papers = {{"processed/paper/node_feat.npy", a.features},
                        {"processed/paper/node_label.npy", a.labels},
                        {"processed/paper___cites___paper/edge_index.npy", a.edges}};
  Files mag = papers, unpacked_mag = papers;
  mag["meta.pt"] = meta;
  unpacked_mag["meta.pt/data.pkl"] = std::string(kMeta);
  const Files saint = {{"adj_full.npz/indptr.npy", npy_bytes("<i4", "(4,)", std::vector<std::int32_t>{0, 1, 2, 3})},
                       {"adj_full.npz/indices.npy", npy_bytes("<i4", "(3,)", std::vector<std::int32_t>{1, 2, 0})},
                       {"adj_full.npz/shape.npy", npy_bytes("<i8", "(2,)", std::vector<std::int64_t>{3, 3})},
                       {"feats.npy", a.features},
                       {"class_map.json", "{\"0\": [1, 0], \"1\": [0, 0], \"2\": [1, 1]}"},
                       {"role.json", "{\"tr\": [0], \"va\": [1], \"te\": [2]}"}};
  Files halves = papers, all = npy_set(a, false);
  halves["processed/paper/node_feat.npy"] = a.halves;
  halves["meta.pt"] = meta;
  return {
      target("npy", run_folder<SourceKind::npy>, {npy_set(a, false), npy_set(a, true)}),
      target("npz", run_file<SourceKind::npy>, {{{"x.npz", zip_bytes(all, false)}}, {{"x.npz", zip_bytes(all, true)}}}),
      target("graphsaint", run_archives<SourceKind::graphsaint>, {saint}),
      target("mag240m", run_folder<SourceKind::mag240m>, {mag, halves}),
      target("torch", run_archives<SourceKind::mag240m>, {unpacked_mag}),
  };
}

std::vector<FuzzTarget> ogb_targets(const Arrays& a) {
  const SixNodes six;
  const Files csv = written([&](const fs::path& folder) { write_ogb_csv(folder, six); });
  const Files npz = written([&](const fs::path& folder) { write_ogb_npz(folder, six); });
  Files with_edge_features = csv;
  with_edge_features.erase("raw/node-feat.csv.gz");
  with_edge_features["raw/edge-feat.csv.gz"] = "1,2\n3,4\n5,6\n0.5,-1e3\n1,1\n2,2\n3,3\n";
  Files members;  // of the archives, by ARCHIVE/ARRAY
  for (const auto& [name, bytes] : npz) {
    if (!name.ends_with(".npz")) {
      members[name] = bytes;
      continue;
    }
    const TempDir dir;
    write_text(dir / "x.npz", bytes);
    const NpzArchive archive(dir / "x.npz");
    for (const ZipMember& member : archive.members()) {
      std::string content(member.size, '\0');
      static_cast<void>(archive.open(member.name)->read(std::as_writable_bytes(std::span(content))));
      members[name + "/" + member.name] = content;
    }
  }
  const Files arrays = npy_set(a, false);
  const std::string set = zip_bytes({{"s/edge_index.npy", arrays.at("edge_index.npy")},
                                     {"s/node_feat.npy", arrays.at("node_feat.npy")},
                                     {"s/node_label.npy", arrays.at("node_label.npy")},
                                     {"s/train.npy", arrays.at("train.npy")}},
                                    true);
  return {target("ogb-csv", run_folder<SourceKind::ogb>, {csv}),
          target("ogb-edge-features", run_folder<SourceKind::ogb>, {with_edge_features}),
          target("ogb-npz", run_folder<SourceKind::ogb>, {npz}),
          target("ogb-npz-arrays", run_archives<SourceKind::ogb>, {members}),
          target("zip", run_file<SourceKind::npy>,
                 {{{"x.zip", set}}, {{"x.zip", zip_bytes({{"s/x.npz", zip_bytes(arrays, true)}}, false)}}})};
}

}  // namespace

std::vector<FuzzTarget> import_targets() {
  const Arrays arrays;
  std::vector<FuzzTarget> all = text_targets();
  for (FuzzTarget& next : array_targets(arrays)) all.push_back(std::move(next));
  for (FuzzTarget& next : ogb_targets(arrays)) all.push_back(std::move(next));
  return all;
}

}  // namespace strata::fuzz
