#include <doctest/doctest.h>

#include <boost/program_options.hpp>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/file.hpp"
#include "tests/support/temp_dir.hpp"
#include "tools/program.hpp"

namespace po = boost::program_options;

namespace strata::test {
namespace {

TEST_CASE("parse_size: what people write, and what is none") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("4096") == 4096);
  CHECK(parse_size("7B") == 7);
  CHECK(parse_size("512MiB") == std::uint64_t{512} << 20);
  CHECK(parse_size("2GiB") == std::uint64_t{2} << 30);
  CHECK(parse_size("1.5GB") == 1'500'000'000);
  CHECK(parse_size("0.5KiB") == 512);
  CHECK(parse_size("3TiB") == std::uint64_t{3} << 40);
  CHECK(parse_size("9223372036854775807") == 9223372036854775807u);
  for (const char* text : {"", "MiB", "-1", "+1", "1.5", "1..5GB", ".5GB", "5.GB", "1 GB", "1GiBs", "1gib", "0x10",
                           "1e9", "inf", "nan", "9223372036854775808", "9000000TiB", "111111111111111111111"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(static_cast<void>(parse_size(text)), UsageError);
  }
}

TEST_CASE("run_program: each kind of failure has its exit status") {
  const auto status = [](const std::function<int(int, char**)>& body) { return run_program("test", 0, nullptr, body); };
  CHECK(status([](int, char**) { return 0; }) == 0);
  CHECK(status([](int, char**) { return 130; }) == 130);
  CHECK(status([](int, char**) -> int { throw UsageError("u"); }) == 2);
  CHECK(status([](int, char**) -> int { throw InputError("f", "line 1", "i"); }) == 3);
  CHECK(status([](int, char**) -> int { throw ResourceError("r"); }) == 4);
  CHECK(status([](int, char**) -> int { throw std::bad_alloc(); }) == 4);
  CHECK(status([](int, char**) -> int { throw DamagedError("f", "b", "x", "y"); }) == 5);
  CHECK(status([](int, char**) -> int { throw std::logic_error("two\nlines"); }) == 1);
  CHECK(status([](int, char**) -> int {
          throw fs::filesystem_error("x", "p", std::make_error_code(std::errc::no_space_on_device));
        }) == 4);
  CHECK(status([](int, char**) -> int {
          throw fs::filesystem_error("x", "p", std::make_error_code(std::errc::permission_denied));
        }) == 3);
}

// Parses with one option of its own, --size, beside the common ones.
struct Parsed {
  explicit Parsed(std::vector<std::string> arguments) {
    po::options_description options("options");
    options.add_options()("size", po::value<std::string>()->default_value("1"), "a size");
    add_common_options(options);
    arguments.insert(arguments.begin(), "program");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    goes_on =
        parse_options("program", "usage", static_cast<int>(argv.size()), argv.data(), options, nullptr, values, common);
  }
  po::variables_map values;
  CommonOptions common;
  bool goes_on = false;
};

TEST_CASE("parse_options: the command line wins over --config, and both over defaults") {
  TempDir dir;
  write_file_atomically(dir / "c", "# a comment\nsize = 2\nquiet = true\nthreads = 3\n");
  const std::string config = (dir / "c").string();
  CHECK(Parsed({}).values["size"].as<std::string>() == "1");
  const Parsed from_config({"--config", config});
  CHECK(from_config.goes_on);
  CHECK(from_config.values["size"].as<std::string>() == "2");
  CHECK(from_config.common.quiet);
  CHECK(from_config.common.threads == 3);
  const Parsed both({"--size=4", "--config", config, "--threads", "5"});
  CHECK(both.values["size"].as<std::string>() == "4");
  CHECK(both.common.threads == 5);
}

TEST_CASE("parse_options: wrong ones are usage errors") {
  TempDir dir;
  write_file_atomically(dir / "unknown", "nonsense = 1\n");
  write_file_atomically(dir / "malformed", "size\n");
  write_file_atomically(dir / "negative", "threads = -2\n");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--siz", "2"},
                                             {"--nonsense"},
                                             {"--size"},
                                             {"--size=1", "--size=2"},
                                             {"stray"},
                                             {"--threads", "many"},
                                             {"--threads", "-1"},
                                             {"--quiet", "--verbose"},
                                             {"--config", (dir / "absent").string()},
                                             {"--config", (dir / "unknown").string()},
                                             {"--config", (dir / "malformed").string()},
                                             {"--config", (dir / "negative").string()}}) {
    CAPTURE(arguments.front());
    CHECK_THROWS_AS(Parsed{arguments}, UsageError);
  }
}

TEST_CASE("progress: counts from several calls, silent when quiet") {
  Progress quiet("stage", 10, Progress::Unit::items, true);
  for (int i = 0; i < 10; ++i) quiet.add(1);
  Progress unknown_total("stage", 0, Progress::Unit::bytes, true);
  unknown_total.note("file");
  unknown_total.add(5);
}

}  // namespace
}  // namespace strata::test
