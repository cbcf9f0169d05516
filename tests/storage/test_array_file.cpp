#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/array_file.hpp"
#include "storage/file.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata::test {
namespace {

template <class T>
void round_trip(const fs::path& path, std::uint64_t rows, std::uint64_t cols) {
  MemoryBudget budget(std::uint64_t{32} << 20);
  std::vector<T> values(rows * cols);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(i * 7 + 3);
  const ArrayInfo written = write_array<T>(path, values, cols);
  CHECK(written.file_bytes == fs::file_size(path));
  const ArrayInfo info = read_array_info(path);
  CHECK(info.type == array_type<T>());
  CHECK(info.rows == rows);
  CHECK(info.cols == cols);
  CHECK(info.checksum == written.checksum);
  const Array<T> read = read_array<T>(path, UINT64_MAX, cols, budget);
  CHECK(std::equal(values.begin(), values.end(), read.begin(), read.end()));
  std::uint64_t checked = 0;
  verify_array(path, [&](std::uint64_t bytes) { checked += bytes; });
  CHECK(checked == values.size() * sizeof(T));
}

TEST_CASE("array file: every type, sizes around pages and pieces") {
  TempDir dir;
  for (const std::uint64_t rows : {0, 1, 511, 512, 513, 300'000}) {
    round_trip<std::uint8_t>(dir / "a", rows, 1);
    round_trip<std::int32_t>(dir / "a", rows, 1);
    round_trip<std::uint32_t>(dir / "a", rows, 3);
    round_trip<float>(dir / "a", rows, 2);
    round_trip<std::uint64_t>(dir / "a", rows, 1);
    round_trip<double>(dir / "a", rows, 1);
  }
}

TEST_CASE("array file: another type or shape than expected is damage that says both") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{1} << 20);
  const std::vector<std::int32_t> values{1, 2, 3};
  write_array<std::int32_t>(dir / "a", values);
  CHECK_THROWS_AS(static_cast<void>(read_array<float>(dir / "a", 3, 1, budget)), DamagedError);
  CHECK_THROWS_AS(static_cast<void>(read_array<std::int32_t>(dir / "a", 4, 1, budget)), DamagedError);
  CHECK_THROWS_AS(static_cast<void>(read_array<std::int32_t>(dir / "a", 3, 3, budget)), DamagedError);
  CHECK(read_array<std::int32_t>(dir / "a", 3, 1, budget)[2] == 3);
  MemoryBudget none(10);
  CHECK_THROWS_AS(static_cast<void>(read_array<std::int32_t>(dir / "a", 3, 1, none)), ResourceError);
}

TEST_CASE("array file: values keep their bits") {
  TempDir dir;
  MemoryBudget budget(std::uint64_t{1} << 20);
  const std::vector<float> values{-0.0f, std::numeric_limits<float>::quiet_NaN(),
                                  std::numeric_limits<float>::infinity(), std::numeric_limits<float>::denorm_min()};
  write_array<float>(dir / "a", values);
  const Array<float> read = read_array<float>(dir / "a", 4, 1, budget);
  CHECK(std::signbit(read[0]));
  CHECK(std::isnan(read[1]));
  CHECK(std::isinf(read[2]));
  CHECK(read[3] == std::numeric_limits<float>::denorm_min());
}

}  // namespace
}  // namespace strata::test
