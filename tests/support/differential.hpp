// One description of a kernel call, run by every body there is, results compared with the reference.
//
//   Case c("gather_rows", "cols 17", seed);
//   const auto x = c.input(values, rows, cols, stride);          // real numbers: float or double as the body takes
//   them const auto ids = c.raw(id_vector);                           // anything else, copied as it is const auto out
//   = c.output(ids.size(), cols, stride);         // starts as a pattern that no kernel writes c.exact(); // or
//   c.tolerance(8): in units of epsilon x magnitude c.run([=](auto body, auto& a) { body.gather_rows(a.in(x),
//   a.template span<NodeId>(ids), a.out(out)); });
//
// Around every array lie guard words, and in the columns between cols and stride as well: a kernel that writes there,
// or changes an input, fails. A body that cannot run says SKIPPED, never passed. To add an operation: describe its
// cases in tests/kernels/test_<operation>.cpp, and give tests/kernels/bodies.hpp its name.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/base/types.hpp"
#include "tests/kernels/bodies.hpp"

namespace strata::testing {

// How often each operation ran in each body; printed when the program ends.
class Table {
 public:
  static Table& instance() {
    static Table table;
    return table;
  }
  ~Table() { print(); }

  void count(const std::string& operation, const std::string& body) { ++rows_[operation][body]; }
  void skip(const std::string& operation) {
    const char* why = CudaBody::kCompiled ? "no device" : "not built";
    if (rows_[operation].count("skipped") == 0) std::printf("SKIPPED cuda: %s (%s)\n", why, operation.c_str());
    ++rows_[operation]["skipped"];
  }

 private:
  using Counts = std::map<std::string, int>;
  static std::string cell(const Counts& counts, const char* body) {
    const auto found = counts.find(body);
    return found != counts.end() ? std::to_string(found->second) + " cases" : "-";
  }
  void print() const {
    if (rows_.empty()) return;
    const char* absent = CudaBody::kCompiled ? "SKIPPED" : "not built";
    std::printf("\n%-26s %-12s %-12s %-12s\n", "operation", "reference", "cpu", "cuda");
    for (const auto& [operation, counts] : rows_) {
      const std::string cuda = counts.count("skipped") != 0 ? absent : cell(counts, "cuda");
      std::printf("%-26s %-12s %-12s %-12s\n", operation.c_str(), cell(counts, "reference").c_str(),
                  cell(counts, "cpu").c_str(), cuda.c_str());
    }
  }
  std::map<std::string, Counts> rows_;
};

struct Slot {
  std::size_t index = 0;
};

// What a case says about one array.
struct Description {
  bool real = false;
  bool written = false;
  std::size_t rows = 0, cols = 0, stride = 0;  // of a real array
  std::vector<double> values;                  // of a real array, rows * stride
  std::vector<std::byte> bytes;                // of any other
};

inline constexpr std::size_t kGuardBytes = 128;
inline constexpr std::byte kGuard{0xA5};

// The arrays of one run by one body, in that body's memory; `T` is its type of real numbers.
template <class T, class Memory>
class Arguments {
 public:
  using Real = T;

  explicit Arguments(const std::vector<Description>& descriptions) : descriptions_(descriptions) {
    for (const Description& d : descriptions) {
      before_.push_back(image(d));
      memory_.emplace_back(before_.back());
    }
    scalars_.resize(8);
  }

  MatrixView<const T> in(Slot s) { return view<const T>(s); }
  MatrixView<T> out(Slot s) { return view<T>(s); }
  T* reals(Slot s) { return pointer<T>(s); }  // null for an array of no elements: a factor that is left out
  template <class Element>
  Element* raw(Slot s) {
    return pointer<Element>(s);
  }
  template <class Element>
  std::span<const Element> span(Slot s) {
    return {pointer<const Element>(s), descriptions_[s.index].bytes.size() / sizeof(Element)};
  }
  double& scalar(std::size_t i) { return scalars_[i]; }
  [[nodiscard]] const std::vector<double>& scalars() const { return scalars_; }

  // Copies everything back; true if guards, paddings and inputs are as they were.
  bool finish() {
    bool intact = true;
    for (std::size_t s = 0; s < memory_.size(); ++s) {
      after_.push_back(memory_[s].read());
      intact = intact && only_outputs_changed(descriptions_[s], before_[s], after_[s]);
    }
    return intact;
  }
  [[nodiscard]] std::span<const std::byte> payload(std::size_t slot) const {
    return std::span(after_[slot]).subspan(kGuardBytes, after_[slot].size() - 2 * kGuardBytes);
  }
  [[nodiscard]] T real_result(std::size_t slot, std::size_t row, std::size_t col) const {
    T value;
    std::memcpy(&value, payload(slot).data() + (row * descriptions_[slot].stride + col) * sizeof(T), sizeof(T));
    return value;
  }

 private:
  template <class Element>
  Element* pointer(Slot s) {
    const Description& d = descriptions_[s.index];
    if (d.real ? d.values.empty() : d.bytes.empty()) return nullptr;
    return reinterpret_cast<Element*>(memory_[s.index].data() + kGuardBytes);
  }
  template <class Element>
  MatrixView<Element> view(Slot s) {
    const Description& d = descriptions_[s.index];
    return {pointer<Element>(s), d.rows, d.cols, d.stride};
  }

  static std::vector<std::byte> image(const Description& d) {
    const std::size_t size = d.real ? d.values.size() * sizeof(T) : d.bytes.size();
    std::vector<std::byte> bytes(size + 2 * kGuardBytes, kGuard);
    if (!d.real) std::copy(d.bytes.begin(), d.bytes.end(), bytes.begin() + kGuardBytes);
    for (std::size_t row = 0; d.real && row < d.rows; ++row) {
      for (std::size_t col = 0; col < d.cols; ++col) {
        const T value = static_cast<T>(d.values[row * d.stride + col]);
        std::memcpy(bytes.data() + kGuardBytes + (row * d.stride + col) * sizeof(T), &value, sizeof(T));
      }
    }
    return bytes;
  }

  // A written raw array may change anywhere between its guards; a written matrix only within its columns.
  static bool only_outputs_changed(const Description& d, const std::vector<std::byte>& before,
                                   const std::vector<std::byte>& after) {
    for (std::size_t b = 0; b < before.size(); ++b) {
      if (before[b] == after[b]) continue;
      const bool inside = b >= kGuardBytes && b < before.size() - kGuardBytes;
      if (!inside || !d.written) return false;
      if (d.real && (b - kGuardBytes) / sizeof(T) % d.stride >= d.cols) return false;
    }
    return true;
  }

  const std::vector<Description>& descriptions_;
  std::vector<std::vector<std::byte>> before_, after_;
  std::vector<Memory> memory_;
  std::vector<double> scalars_;
};

class Case {
 public:
  Case(std::string operation, const std::string& what, std::uint64_t seed)
      : operation_(std::move(operation)), label_(operation_ + ", " + what + ", seed " + std::to_string(seed)) {}

  // rows x cols values out of `values`, which holds them row by row without padding.
  Slot input(const std::vector<double>& values, std::size_t rows, std::size_t cols, std::size_t stride) {
    return real(values, rows, cols, stride, false);
  }
  Slot input(const std::vector<double>& values) { return input(values, 1, values.size(), values.size()); }
  Slot output(std::size_t rows, std::size_t cols, std::size_t stride) {
    return real(std::vector<double>(rows * cols, 12345.0), rows, cols, stride, true);
  }
  Slot in_out(const std::vector<double>& values, std::size_t rows, std::size_t cols, std::size_t stride) {
    return real(values, rows, cols, stride, true);
  }
  Slot in_out(const std::vector<double>& values) { return in_out(values, 1, values.size(), values.size()); }
  template <class Element>
  Slot raw(const std::vector<Element>& elements, bool written = false) {
    Description d;
    d.written = written;
    const auto bytes = std::as_bytes(std::span(elements));
    d.bytes.assign(bytes.begin(), bytes.end());
    return add(std::move(d));
  }

  void exact() { tolerance_ = 0; }
  void tolerance(double units) { tolerance_ = units; }

  template <class Call>
  void run(Call call) {
    CAPTURE(label_);
    Arguments<float, HostMemory> expected(descriptions_);
    call(ReferenceBody(), expected);
    CHECK_MESSAGE(expected.finish(), "the reference wrote outside its outputs");
    Table::instance().count(operation_, "reference");
    run_body<CpuBody, HostMemory>(call, expected);
    if constexpr (CudaBody::kCompiled) {
      if (CudaBody::available()) {
        run_body<CudaBody, CudaMemory>(call, expected);
        return;
      }
    }
    Table::instance().skip(operation_);
  }

 private:
  Slot add(Description d) {
    descriptions_.push_back(std::move(d));
    return {descriptions_.size() - 1};
  }
  Slot real(const std::vector<double>& values, std::size_t rows, std::size_t cols, std::size_t stride, bool written) {
    REQUIRE(values.size() == rows * cols);
    Description d;
    d.real = true;
    d.written = written;
    d.rows = rows;
    d.cols = cols;
    d.stride = stride;
    d.values.assign(cols == 0 ? 0 : rows * stride, 0);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t col = 0; col < cols; ++col) d.values[row * stride + col] = values[row * cols + col];
    }
    return add(std::move(d));
  }

  template <class Body, class Memory, class Call>
  void run_body(Call call, const Arguments<float, HostMemory>& expected) {
    const std::string body = Body::kName;
    CAPTURE(body);
    Arguments<float, Memory> found(descriptions_);
    call(Body(), found);
    CHECK_MESSAGE(found.finish(), "the body wrote outside its outputs");
    for (std::size_t s = 0; s < descriptions_.size(); ++s) {
      if (!descriptions_[s].written) continue;
      CAPTURE(s);
      if (tolerance_ == 0 || !descriptions_[s].real) {
        CHECK_MESSAGE(std::ranges::equal(expected.payload(s), found.payload(s)), "the bits differ");
      } else {
        compare(descriptions_[s], s, expected, found);
      }
    }
    for (std::size_t i = 0; i < expected.scalars().size(); ++i)
      compare_scalar(expected.scalars()[i], found.scalars()[i]);
    Table::instance().count(operation_, body);
  }

  // Magnitude: the largest entry of the reference's row, which bounds what its rounding errors scale with.
  template <class Found>
  void compare(const Description& d, std::size_t s, const Arguments<float, HostMemory>& expected, const Found& found) {
    for (std::size_t row = 0; row < d.rows; ++row) {
      float magnitude = 0;
      for (std::size_t col = 0; col < d.cols; ++col) {
        magnitude = std::max(magnitude, std::abs(expected.real_result(s, row, col)));
      }
      const double allowed = tolerance_ * std::numeric_limits<float>::epsilon() * std::max(magnitude, floor_);
      double worst = 0;
      for (std::size_t col = 0; col < d.cols; ++col) {
        const double error = static_cast<double>(found.real_result(s, row, col)) - expected.real_result(s, row, col);
        worst = std::isfinite(error) ? std::max(worst, std::abs(error)) : std::numeric_limits<double>::infinity();
      }
      CAPTURE(row);
      CHECK(worst <= allowed);
    }
  }
  void compare_scalar(double expected, double found) const {
    const double units = tolerance_ == 0 ? 0 : tolerance_;
    CHECK(std::abs(found - expected) <= units * std::numeric_limits<float>::epsilon() * std::abs(expected));
  }

 public:
  // Smallest magnitude that errors are measured against: what the inputs contribute before they cancel.
  void magnitude_at_least(float floor) { floor_ = floor; }

 private:
  std::string operation_, label_;
  std::vector<Description> descriptions_;
  double tolerance_ = 0;
  float floor_ = 0;
};

// Lengths around the widths that bodies work in.
inline const std::vector<std::size_t>& edge_lengths() {
  static const std::vector<std::size_t> lengths = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129};
  return lengths;
}

}  // namespace strata::testing
