// Memory that goes from one table to the next: what it costs the budget, and whose it is.
#include <doctest/doctest.h>

#include <numeric>
#include <thread>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/base/spare_memory.hpp"
#include "kernels/base/types.hpp"

namespace strata::test {
namespace {

using Table = SpareArray<std::uint32_t>;

constexpr std::size_t kPageValues = kBlockAlignment / sizeof(std::uint32_t);

TEST_CASE("spare memory: the next table takes the last one's") {
  MemoryBudget budget(64 * kBlockAlignment);
  SpareMemory spares;
  const std::uint32_t* first = nullptr;
  {
    const Table table(budget, 4 * kPageValues, "a table", &spares);
    first = table.data();
  }
  CHECK(budget.used() == 4 * kBlockAlignment);
  const Table smaller(budget, 3 * kPageValues + 1, "a table", &spares);
  CHECK(smaller.data() == first);
  CHECK(smaller.size() == 3 * kPageValues + 1);
  CHECK(budget.used() == 4 * kBlockAlignment);
  const Table other(budget, 2 * kPageValues, "another", &spares);
  CHECK(budget.used() == 6 * kBlockAlignment);
  CHECK(Table(budget, 0, "an empty one", &spares).empty());
}

TEST_CASE("spare memory: a spare that is too small makes room for a new one") {
  MemoryBudget budget(5 * kBlockAlignment);
  SpareMemory spares;
  { const Table table(budget, 2 * kPageValues, "a table", &spares); }
  { const Table table(budget, 4 * kPageValues, "a table", &spares); }
  CHECK(budget.used() == 4 * kBlockAlignment);
  CHECK_THROWS_AS(Table(budget, 6 * kPageValues, "too large a table", &spares), ResourceError);
  CHECK(Table(budget, 5 * kPageValues, "a table", &spares).size() == 5 * kPageValues);
}

TEST_CASE("spare memory: moved tables and tables without spares") {
  MemoryBudget budget(64 * kBlockAlignment);
  {
    SpareMemory spares;
    Table a(budget, kPageValues, "a", &spares);
    a[0] = 7;
    Table b(std::move(a));
    CHECK(a.empty());
    CHECK(b[0] == 7);
    Table c(budget, 2 * kPageValues, "c", &spares);
    c = std::move(b);
    CHECK(c[0] == 7);
    CHECK(c.size() == kPageValues);
    CHECK(budget.used() == 3 * kBlockAlignment);  // c's first memory is a spare now
    { const Table own(budget, 8 * kPageValues, "own", nullptr); }
    CHECK(budget.used() == 3 * kBlockAlignment);
  }
  CHECK(budget.used() == 0);
}

TEST_CASE("spare memory: several threads, each with its own while it has it") {
  constexpr std::size_t kThreads = 4, kTables = 200;
  MemoryBudget budget(kThreads * 3 * kBlockAlignment);
  SpareMemory spares;
  std::vector<std::size_t> wrong(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < kTables; ++i) {
        const Table table(budget, (1 + (t + i) % 3) * kPageValues, "a table", &spares);
        std::iota(table.begin(), table.end(), static_cast<std::uint32_t>(t * kTables + i));
        for (std::size_t at = 0; at < table.size(); ++at) wrong[t] += table[at] == t * kTables + i + at ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(std::accumulate(wrong.begin(), wrong.end(), std::size_t{0}) == 0);
  CHECK(budget.peak() <= kThreads * 3 * kBlockAlignment);
}

}  // namespace
}  // namespace strata::test
