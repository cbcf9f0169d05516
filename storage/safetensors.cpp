#include "storage/safetensors.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "kernels/base/error.hpp"
#include "kernels/base/types.hpp"
#include "storage/byte_source.hpp"
#include "storage/file.hpp"
#include "storage/little_endian.hpp"

namespace strata {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own library
constexpr const char* kMetadata = "__metadata__";

struct Entry {
  NamedTensor tensor;
  std::string dtype;
  std::uint64_t begin = 0, end = 0, elements = 0;
};

template <class T, class Convert>
void convert_all(std::span<const std::byte> bytes, std::vector<float>& values, Convert&& convert) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = convert(load_le<T>(bytes.data() + i * sizeof(T)));
}

// Bytes of one element; 0 for a type that is not known.
std::size_t dtype_bytes(const std::string& dtype) {
  static const std::map<std::string, std::size_t> kBytes = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
                                                            {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U64", 8},  {"U32", 4},
                                                            {"U16", 2}, {"U8", 1},  {"BOOL", 1}};
  const auto found = kBytes.find(dtype);
  return found == kBytes.end() ? 0 : found->second;
}

void convert(const std::string& dtype, std::span<const std::byte> bytes, std::vector<float>& values) {
  const auto plain = [](auto value) { return static_cast<float>(value); };
  if (dtype == "F32") convert_all<float>(bytes, values, plain);
  if (dtype == "F64") convert_all<double>(bytes, values, plain);
  if (dtype == "F16") convert_all<std::uint16_t>(bytes, values, half_to_float);
  if (dtype == "BF16") convert_all<std::uint16_t>(bytes, values, bfloat16_to_float);
  if (dtype == "I64") convert_all<std::int64_t>(bytes, values, plain);
  if (dtype == "I32") convert_all<std::int32_t>(bytes, values, plain);
  if (dtype == "I16") convert_all<std::int16_t>(bytes, values, plain);
  if (dtype == "I8") convert_all<std::int8_t>(bytes, values, plain);
  if (dtype == "U64") convert_all<std::uint64_t>(bytes, values, plain);
  if (dtype == "U32") convert_all<std::uint32_t>(bytes, values, plain);
  if (dtype == "U16") convert_all<std::uint16_t>(bytes, values, plain);
  if (dtype == "U8" || dtype == "BOOL") convert_all<std::uint8_t>(bytes, values, plain);
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : source_(open_file_source(path)), path_(source_->path()), file_bytes_(*source_->size()) {}

  std::vector<NamedTensor> read(std::map<std::string, std::string>* metadata) {
    const Json header = parse_header();
    std::vector<Entry> entries;
    for (const auto& [name, value] : header.items()) {
      if (name == kMetadata) {
        read_metadata(value, metadata);
      } else {
        entries.push_back(parse_entry(name, value));
      }
    }
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    std::vector<NamedTensor> tensors;
    for (Entry& entry : entries) {
      read_values(entry);
      tensors.push_back(std::move(entry.tensor));
    }
    if (position_ != file_bytes_) fail(std::to_string(file_bytes_ - position_) + " bytes behind the last tensor");
    return tensors;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(path_, "byte " + std::to_string(position_), what);
  }
  void require(bool condition, const std::string& name, const char* what) const {
    if (!condition) throw InputError(path_, "tensor " + name, what);
  }

  Json parse_header() {
    std::byte length_bytes[8];
    source_->read_exactly(length_bytes, 0);
    const std::uint64_t length = load_le<std::uint64_t>(length_bytes);
    if (length > file_bytes_ - 8 || length > kMaxHeaderBytes) {
      fail("not a safetensors file: its header would have " + std::to_string(length) + " bytes, the file has " +
           std::to_string(file_bytes_));
    }
    std::string text(static_cast<std::size_t>(length), '\0');
    source_->read_exactly(std::as_writable_bytes(std::span(text)), 8);
    Json header = Json::parse(text, nullptr, false);
    position_ = 8;
    if (!header.is_object()) fail("not a safetensors file: the header is not a JSON object");
    position_ = data_begin_ = 8 + length;
    return header;
  }

  void read_metadata(const Json& value, std::map<std::string, std::string>* metadata) const {
    require(value.is_object(), kMetadata, "is not an object");
    for (const auto& [key, text] : value.items()) {
      require(text.is_string(), kMetadata, "holds something that is not a string");
      if (metadata != nullptr) (*metadata)[key] = text.get<std::string>();
    }
  }

  Entry parse_entry(const std::string& name, const Json& value) const {
    Entry entry;
    entry.tensor.name = name;
    require(value.is_object() && value.contains("dtype") && value["dtype"].is_string(), name, "has no dtype");
    require(value.contains("shape") && value["shape"].is_array(), name, "has no shape");
    entry.dtype = value["dtype"].get<std::string>();
    const std::size_t size = dtype_bytes(entry.dtype);
    require(size != 0, name, "has a type that is not read here");
    const std::uint64_t data_bytes = file_bytes_ - data_begin_;
    const std::uint64_t room = data_bytes / size;  // elements that the file could hold
    entry.elements = 1;
    for (const Json& length : value["shape"]) {
      require(length.is_number_unsigned(), name, "has a shape that is not a list of lengths");
      entry.tensor.shape.push_back(length.get<std::uint64_t>());
    }
    const bool empty = std::count(entry.tensor.shape.begin(), entry.tensor.shape.end(), 0u) > 0;
    for (const std::uint64_t dimension : entry.tensor.shape) {
      if (!empty) require(entry.elements <= room / dimension, name, "is larger than the file");
      entry.elements *= empty ? 0 : dimension;
    }
    require(entry.elements <= room, name, "is larger than the file");
    const auto offsets = value.find("data_offsets");
    require(offsets != value.end() && offsets->is_array() && offsets->size() == 2 &&
                (*offsets)[0].is_number_unsigned() && (*offsets)[1].is_number_unsigned(),
            name, "has no data_offsets");
    entry.begin = (*offsets)[0].get<std::uint64_t>();
    entry.end = (*offsets)[1].get<std::uint64_t>();
    require(entry.begin <= entry.end && entry.end <= data_bytes, name, "lies outside the file");
    require(entry.end - entry.begin == entry.elements * size, name, "has a shape that does not fit its data_offsets");
    return entry;
  }

  void read_values(Entry& entry) {
    require(data_begin_ + entry.begin == position_, entry.tensor.name, "overlaps another tensor or leaves a gap");
    std::vector<std::byte> bytes(static_cast<std::size_t>(entry.end - entry.begin));
    source_->read_exactly(bytes, position_);
    position_ += bytes.size();
    entry.tensor.values.resize(static_cast<std::size_t>(entry.elements));
    convert(entry.dtype, bytes, entry.tensor.values);
  }

  std::unique_ptr<ByteSource> source_;
  std::string path_;
  std::uint64_t file_bytes_, data_begin_ = 0, position_ = 0;
};

std::string header_text(std::span<const NamedTensor> tensors, const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::set<std::string> names;
  std::uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    const bool is_new = names.insert(tensor.name).second;
    STRATA_ASSERT(is_new && tensor.name != kMetadata);
    std::size_t elements = 1;
    for (const std::size_t dimension : tensor.shape) elements *= dimension;
    STRATA_ASSERT(elements == tensor.values.size());
    const std::uint64_t end = offset + elements * sizeof(float);
    header[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append(round_up(text.size(), 8) - text.size(), ' ');  // the values start at a multiple of 8
  return text;
}

}  // namespace

std::vector<NamedTensor> read_safetensors(const std::filesystem::path& path,
                                          std::map<std::string, std::string>* metadata) {
  return Reader(path).read(metadata);
}

void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string text = header_text(tensors, metadata);
  const std::uint64_t length = text.size();
  AtomicFile file(path);
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(text);
  for (const NamedTensor& tensor : tensors) file.append(std::as_bytes(std::span(tensor.values)));
  file.commit();
}

}  // namespace strata
