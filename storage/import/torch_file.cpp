#include "storage/import/torch_file.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "kernels/base/error.hpp"

namespace strata {
namespace {

constexpr std::uint64_t kLongestPickle = std::uint64_t{1} << 27;
constexpr std::size_t kDeepest = std::size_t{1} << 12;  // of the stack
constexpr std::size_t kMostObjects = std::size_t{1} << 16;

struct Value;
using Ref = std::shared_ptr<Value>;

struct Value {
  enum class Kind { none, number, text, bytes, tuple, dictionary, global, type, array, mark };
  Kind kind = Kind::none;
  std::int64_t number = 0;  // also booleans
  std::string text;         // text, bytes, the name of a global, the code of a type ("i8"), the data of an array
  std::vector<Ref> items;   // a tuple's; a dictionary's keys and values in turn; an array's shape and type
  char order = '=';         // of a type
};

class Unpickler {
 public:
  Unpickler(std::string bytes, std::string path) : bytes_(std::move(bytes)), path_(std::move(path)) {}
  Unpickler(const Unpickler&) = delete;
  Unpickler& operator=(const Unpickler&) = delete;
  ~Unpickler() {  // a dictionary may hold itself
    for (const Ref& value : made_) value->items.clear();
  }
  // Valid as long as this object.
  Ref run() {
    while (!done_) step();
    return pop();
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw InputError(path_, "byte " + std::to_string(at_), what);
  }

 private:
  std::string take(std::uint64_t count) {
    if (count > bytes_.size() - at_) fail("the pickle ends here, " + std::to_string(count) + " bytes were expected");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  std::uint64_t take_unsigned(std::size_t width) {
    const std::string raw = take(width);
    std::uint64_t value = 0;
    std::memcpy(&value, raw.data(), width);
    return value;
  }
  std::int64_t take_signed(std::size_t width) {
    const std::string raw = take(width);
    if (raw.empty()) return 0;
    std::int64_t value = raw.back() < 0 ? -1 : 0;
    std::memcpy(&value, raw.data(), width);
    return value;
  }
  std::string take_line() {
    const std::size_t end = bytes_.find('\n', at_);
    if (end == std::string::npos || end - at_ > 256) fail("a name without end");
    std::string line = take(end - at_);
    ++at_;
    return line;
  }

  Ref make(Value::Kind kind, std::string text = {}, std::int64_t number = 0) {
    if (made_.size() == kMostObjects) fail("a pickle of too many objects");
    made_.push_back(std::make_shared<Value>());
    Value& value = *made_.back();
    value.kind = kind;
    value.text = std::move(text);
    value.number = number;
    return made_.back();
  }

  void push(Ref value) {
    if (stack_.size() == kDeepest) fail("a pickle nested too deep");
    stack_.push_back(std::move(value));
  }
  Ref pop() {
    if (stack_.empty() || stack_.back()->kind == Value::Kind::mark) fail("a damaged pickle: nothing to take");
    Ref value = std::move(stack_.back());
    stack_.pop_back();
    return value;
  }
  // Everything above the last mark, which goes too.
  std::vector<Ref> pop_marked() {
    std::vector<Ref> values;
    while (!stack_.empty() && stack_.back()->kind != Value::Kind::mark) values.push_back(pop());
    if (stack_.empty()) fail("a damaged pickle: no mark");
    stack_.pop_back();
    std::reverse(values.begin(), values.end());
    return values;
  }
  void push_tuple(std::size_t count) {
    Ref tuple = make(Value::Kind::tuple);
    for (std::size_t i = 0; i < count; ++i) tuple->items.insert(tuple->items.begin(), pop());
    push(std::move(tuple));
  }
  void memoize(std::uint64_t index) {
    if (stack_.empty()) fail("a damaged pickle: nothing to remember");
    if (memo_.size() == kMostObjects) fail("a pickle of too many objects");
    memo_[index] = stack_.back();
  }
  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail("a damaged pickle: an object that was not remembered");
    push(found->second);
  }

  void step();
  bool step_constant(unsigned char code);
  bool step_container(unsigned char code);
  void set_items(const std::vector<Ref>& items);
  void reduce();
  void build();
  [[nodiscard]] std::string latin1(const std::string& text) const;

  std::string bytes_, path_;
  std::size_t at_ = 0;
  bool done_ = false;
  std::vector<Ref> stack_, made_;
  std::map<std::uint64_t, Ref> memo_;
};

bool Unpickler::step_constant(unsigned char code) {
  using Kind = Value::Kind;
  switch (code) {
    case 'N': push(make(Kind::none)); return true;
    case 0x88: push(make(Kind::number, {}, 1)); return true;
    case 0x89: push(make(Kind::number, {}, 0)); return true;
    case 'K': push(make(Kind::number, {}, static_cast<std::int64_t>(take_unsigned(1)))); return true;
    case 'M': push(make(Kind::number, {}, static_cast<std::int64_t>(take_unsigned(2)))); return true;
    case 'J': push(make(Kind::number, {}, take_signed(4))); return true;
    case 0x8a: {
      const std::uint64_t width = take_unsigned(1);
      if (width > 8) fail("a number of more than 64 bits");
      push(make(Kind::number, {}, take_signed(width)));
      return true;
    }
    case 'X': push(make(Kind::text, take(take_unsigned(4)))); return true;
    case 0x8c: push(make(Kind::text, take(take_unsigned(1)))); return true;
    case 'C': push(make(Kind::bytes, take(take_unsigned(1)))); return true;
    case 'B': push(make(Kind::bytes, take(take_unsigned(4)))); return true;
    case 0x8e: push(make(Kind::bytes, take(take_unsigned(8)))); return true;
    default: return false;
  }
}

bool Unpickler::step_container(unsigned char code) {
  using Kind = Value::Kind;
  switch (code) {
    case '}': push(make(Kind::dictionary)); return true;
    case ')': push(make(Kind::tuple)); return true;
    case '(': push(make(Kind::mark)); return true;
    case 0x85: push_tuple(1); return true;
    case 0x86: push_tuple(2); return true;
    case 0x87: push_tuple(3); return true;
    case 't': {
      Ref tuple = make(Kind::tuple);
      tuple->items = pop_marked();
      push(std::move(tuple));
      return true;
    }
    case 's': {
      Ref value = pop(), key = pop();
      set_items({key, value});
      return true;
    }
    case 'u': set_items(pop_marked()); return true;
    default: return false;
  }
}

void Unpickler::step() {
  const auto code = static_cast<unsigned char>(take(1)[0]);
  if (step_constant(code) || step_container(code)) return;
  switch (code) {
    case 0x80: static_cast<void>(take(1)); return;  // protocol
    case 0x95: static_cast<void>(take(8)); return;  // frame
    case 'q': return memoize(take_unsigned(1));
    case 'r': return memoize(take_unsigned(4));
    case 0x94: return memoize(memo_.size());
    case 'h': return recall(take_unsigned(1));
    case 'j': return recall(take_unsigned(4));
    case 'c': {
      std::string name = take_line();
      name += "." + take_line();
      return push(make(Value::Kind::global, std::move(name)));
    }
    case 0x93: {
      const Ref name = pop(), module = pop();
      return push(make(Value::Kind::global, module->text + "." + name->text));
    }
    case 'R': return reduce();
    case 'b': return build();
    case '.': done_ = true; return;
    default: fail("holds other things than numbers and numpy arrays (opcode " + std::to_string(code) + ")");
  }
}

void Unpickler::set_items(const std::vector<Ref>& items) {
  if (items.size() % 2 != 0 || stack_.empty() || stack_.back()->kind != Value::Kind::dictionary) {
    fail("a damaged pickle: no dictionary to fill");
  }
  std::vector<Ref>& to = stack_.back()->items;
  to.insert(to.end(), items.begin(), items.end());
}

std::string Unpickler::latin1(const std::string& text) const {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
      continue;
    }
    const bool two = (c == 0xc2 || c == 0xc3) && i + 1 < text.size();  // U+0080 to U+00FF
    if (!two) fail("text that stands for bytes is not latin1");
    bytes += static_cast<char>((c & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
  }
  return bytes;
}

void Unpickler::reduce() {
  const Ref arguments = pop(), function = pop();
  const bool call = function->kind == Value::Kind::global && arguments->kind == Value::Kind::tuple;
  if (!call) fail("a damaged pickle: no function to call");
  const auto text = [&](std::size_t i) {
    return i < arguments->items.size() ? arguments->items[i]->text : std::string();
  };
  const std::string& name = function->text;
  if (name == "_codecs.encode" && text(1) == "latin1") return push(make(Value::Kind::bytes, latin1(text(0))));
  if (name == "numpy.dtype") return push(make(Value::Kind::type, text(0)));
  if (name == "numpy.core.multiarray._reconstruct" || name == "numpy._core.multiarray._reconstruct") {
    return push(make(Value::Kind::array));
  }
  fail("holds an object made by " + name + ": only numbers and numpy arrays are read");
}

void Unpickler::build() {
  const Ref state = pop(), object = pop();
  push(object);
  if (state->kind != Value::Kind::tuple) fail("a damaged pickle: an object without state");
  if (object->kind == Value::Kind::type && state->items.size() >= 2 && state->items[1]->text.size() == 1) {
    object->order = state->items[1]->text[0];
  } else if (object->kind == Value::Kind::array && state->items.size() == 5) {
    object->items = {state->items[1], state->items[2]};
    object->text = state->items[4]->text;
  } else {
    fail("a damaged pickle: an object with an unknown state");
  }
}

// The integers of a one-dimensional array.
std::vector<std::int64_t> integers_of(const Value& array, const std::string& key, const Unpickler& pickle) {
  const auto require = [&](bool holds, const std::string& what) {
    if (!holds) pickle.fail("\"" + key + "\" " + what);
  };
  require(array.items.size() == 2 && array.items[0]->kind == Value::Kind::tuple &&
              array.items[1]->kind == Value::Kind::type,
          "is an array without shape or type");
  const Value &shape = *array.items[0], &type = *array.items[1];
  const bool width = type.text.size() == 2 && std::string_view("1248").find(type.text[1]) != std::string_view::npos;
  require(width && (type.text[0] == 'i' || type.text[0] == 'u') && type.order != '>',
          "is an array of type " + type.text.substr(0, 16) + ", expected little-endian integers");
  require(shape.items.size() == 1, "has " + std::to_string(shape.items.size()) + " dimensions, expected one");
  const auto bytes = static_cast<std::size_t>(type.text[1] - '0');
  const std::int64_t count = shape.items[0]->number;
  require(
      count >= 0 && static_cast<std::uint64_t>(count) == array.text.size() / bytes && array.text.size() % bytes == 0,
      "has " + std::to_string(array.text.size()) + " bytes for " + std::to_string(count) + " values");
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const char* const from = array.text.data() + i * bytes;
    values[i] = type.text[0] == 'i' && from[bytes - 1] < 0 ? -1 : 0;
    std::memcpy(&values[i], from, bytes);
  }
  return values;
}

}  // namespace

std::map<std::string, TorchEntry> read_torch_file(const InputFile& file, const fs::path& scratch) {
  const NpzArchive archive = file.open_archive(scratch);
  const auto& members = archive.members();
  const auto pickle =
      std::find_if(members.begin(), members.end(), [](const ZipMember& m) { return m.name.ends_with("data.pkl"); });
  if (pickle == members.end()) throw InputError(file.place(), "", "holds no data.pkl: this is no file of torch.save");
  if (pickle->size > kLongestPickle) {
    throw InputError(
        file.place(), "member " + pickle->name,
        "is " + format_bytes(pickle->size) + " long, at most " + format_bytes(kLongestPickle) + " is read");
  }
  std::string bytes(pickle->size, 0);
  archive.open(pickle->name)->read_exactly(std::as_writable_bytes(std::span(bytes)), 0);
  Unpickler unpickler(std::move(bytes), file.place() + "/" + pickle->name);
  const Ref root = unpickler.run();
  if (root->kind != Value::Kind::dictionary) unpickler.fail("is no dictionary");
  std::map<std::string, TorchEntry> entries;
  for (std::size_t i = 0; i + 1 < root->items.size(); i += 2) {
    const Value &key = *root->items[i], &value = *root->items[i + 1];
    if (key.kind != Value::Kind::text) unpickler.fail("is a dictionary with a key that is no text");
    TorchEntry& entry = entries[key.text];
    entry.is_array = value.kind == Value::Kind::array;
    entry.number = value.number;
    if (entry.is_array) entry.values = integers_of(value, key.text, unpickler);
  }
  return entries;
}

}  // namespace strata
