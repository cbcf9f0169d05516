// A typed array on disk: one checksummed header page, then the values (FORMAT.md, "Array file"). Labels, degrees,
// permutations, splits, and whatever derived data needs to keep.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <type_traits>

#include "kernels/base/budget.hpp"

namespace strata {

enum class ArrayType : std::uint32_t { u8 = 0, i32 = 1, u32 = 2, f32 = 3, u64 = 4, f64 = 5 };
[[nodiscard]] std::size_t array_type_bytes(ArrayType type);
[[nodiscard]] const char* array_type_name(ArrayType type);

template <class T>
constexpr ArrayType array_type() {
  if constexpr (std::is_same_v<T, std::uint8_t>) return ArrayType::u8;
  if constexpr (std::is_same_v<T, std::int32_t>) return ArrayType::i32;
  if constexpr (std::is_same_v<T, std::uint32_t>) return ArrayType::u32;
  if constexpr (std::is_same_v<T, float>) return ArrayType::f32;
  if constexpr (std::is_same_v<T, std::uint64_t>) return ArrayType::u64;
  if constexpr (std::is_same_v<T, double>) return ArrayType::f64;
}

struct ArrayInfo {
  ArrayType type = ArrayType::u8;
  std::uint64_t rows = 0;
  std::uint64_t cols = 1;
  std::uint64_t file_bytes = 0;
  std::uint64_t checksum = 0;  // of the header, which holds the checksum of the values
  [[nodiscard]] std::uint64_t value_bytes() const { return rows * cols * array_type_bytes(type); }
};

// Atomic: the file is absent or whole.
ArrayInfo write_array_bytes(const std::filesystem::path& path, ArrayType type, std::uint64_t rows, std::uint64_t cols,
                            std::span<const std::byte> values);
template <class T>
ArrayInfo write_array(const std::filesystem::path& path, std::span<const T> values, std::uint64_t cols = 1) {
  return write_array_bytes(path, array_type<T>(), cols == 0 ? 0 : values.size() / cols, cols, std::as_bytes(values));
}

// Header only (checked).
[[nodiscard]] ArrayInfo read_array_info(const std::filesystem::path& path);
// Values, checked; `to` has value_bytes() bytes.
void read_array_bytes(const std::filesystem::path& path, const ArrayInfo& info, std::span<std::byte> to);
// DamagedError when the file holds another type or shape; rows UINT64_MAX accepts any number.
template <class T>
[[nodiscard]] Array<T> read_array(const std::filesystem::path& path, std::uint64_t rows, std::uint64_t cols,
                                  MemoryBudget& budget);
// Streams through the file, telling on_bytes (may be empty) how far it came; DamagedError names the block.
void verify_array(const std::filesystem::path& path, const std::function<void(std::uint64_t)>& on_bytes = {});

void require_array(const std::filesystem::path& path, const ArrayInfo& info, ArrayType type, std::uint64_t rows,
                   std::uint64_t cols);

template <class T>
Array<T> read_array(const std::filesystem::path& path, std::uint64_t rows, std::uint64_t cols, MemoryBudget& budget) {
  const ArrayInfo info = read_array_info(path);
  require_array(path, info, array_type<T>(), rows, cols);
  Array<T> values(budget, info.rows * info.cols, path.filename().string());
  read_array_bytes(path, info, std::as_writable_bytes(values.span()));
  return values;
}

}  // namespace strata
