#include "tools/program.hpp"

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <typeinfo>

#include "kernels/base/error.hpp"

namespace po = boost::program_options;

namespace strata {

namespace {

int report(const char* name, ExitStatus status, std::string message) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::fprintf(stderr, "%s: %s\n", name, message.c_str());
  return static_cast<int>(status);
}

ExitStatus status_of(const std::error_code& code) {
  const bool full = code == std::errc::no_space_on_device || code == std::errc::not_enough_memory;
  return full ? ExitStatus::resources : ExitStatus::input;
}

std::string last_line_without_period(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  return text;
}

// Stores what was parsed. Boost reads "-1" for an unsigned option as 2^32 - 1; here it is refused.
void store_options(const po::parsed_options& parsed, po::variables_map& values) {
  po::store(parsed, values);
  for (const po::option& option : parsed.options) {
    const std::type_info& type = values[option.string_key].value().type();
    const bool is_unsigned =
        type == typeid(unsigned) || type == typeid(unsigned long) || type == typeid(unsigned long long);
    if (is_unsigned && !option.value.empty() && option.value.front().starts_with('-')) {
      throw UsageError("--" + option.string_key + " " + option.value.front() + ": must not be negative");
    }
  }
}

void parse_config(const std::string& path, const po::options_description& options, po::variables_map& values) {
  std::ifstream file(path);
  if (!file) throw UsageError("--config: cannot read " + path);
  try {
    store_options(po::parse_config_file(file, options), values);
  } catch (const po::error& error) {
    throw UsageError(path + ": " + last_line_without_period(error.what()));
  }
}

}  // namespace

int run_program(const char* name, int argc, char** argv, const std::function<int(int, char**)>& body) {
  try {
    const int status = body(argc, argv);
    std::cout.flush();
    if (!std::cout || std::fflush(stdout) != 0) {
      return report(name, ExitStatus::resources,
                    "cannot write to standard output; is the disk full or the reader gone?");
    }
    return status;
  } catch (const DamagedError& error) {
    return report(name, error.status(), std::string(error.what()) + "; restore the file from a copy or make it again");
  } catch (const Error& error) {
    return report(name, error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return report(name, ExitStatus::resources,
                  "the system has no memory left; close other programs or lower the budget");
  } catch (const std::filesystem::filesystem_error& error) {
    return report(name, status_of(error.code()), error.path1().string() + ": " + error.code().message());
  } catch (const po::error& error) {
    return report(name, ExitStatus::usage, last_line_without_period(error.what()) + "; see --help");
  } catch (const std::exception& error) {
    return report(name, ExitStatus::internal, std::string("internal error: ") + error.what() + "; please report it");
  }
}

std::uint64_t parse_size(const std::string& text) {
  struct Unit {
    const char* name;
    double bytes;
  };
  static constexpr std::array<Unit, 11> kUnits = {{{"", 1},
                                                   {"B", 1},
                                                   {"kB", 1e3},
                                                   {"KB", 1e3},
                                                   {"MB", 1e6},
                                                   {"GB", 1e9},
                                                   {"TB", 1e12},
                                                   {"KiB", 0x1p10},
                                                   {"MiB", 0x1p20},
                                                   {"GiB", 0x1p30},
                                                   {"TiB", 0x1p40}}};
  const std::size_t digits = text.find_first_not_of("0123456789.");
  const std::string number = text.substr(0, digits);
  const std::string unit = digits == std::string::npos ? "" : text.substr(digits);
  const auto* found = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return unit == u.name; });
  const bool well_formed = !number.empty() && number.front() != '.' && number.back() != '.' &&
                           std::count(number.begin(), number.end(), '.') <= 1 && number.size() <= 20;
  if (!well_formed || found == kUnits.end()) {
    throw UsageError("'" + text + "' is not a size; write for example 512MiB, 1.5GB or 4096");
  }
  if (found->bytes == 1.0 && number.find('.') != std::string::npos) {
    throw UsageError("'" + text + "' is not a whole number of bytes");
  }
  const long double bytes = std::stold(number) * static_cast<long double>(found->bytes);
  if (bytes >= 0x1p63L) throw UsageError("'" + text + "' is more than a file system can hold");
  return static_cast<std::uint64_t>(std::floor(bytes));
}

std::string version_text(const char* program) {
  std::string text = std::string(program) + " " + STRATA_VERSION + "\n";
  text += std::string("build: ") + STRATA_BUILD + ", compiler " + __VERSION__ + ", -march=" + STRATA_MARCH_NAME + "\n";
#if defined(STRATA_HAS_CUDA)
  text += "features: cpu, cuda\n";
#else
  text += "features: cpu (built without CUDA)\n";
#endif
  return text;
}

void add_common_options(po::options_description& options) {
  options.add_options()("help", "show this text")("version", "show the version and the build's features")(
      "threads", po::value<unsigned>()->default_value(0)->value_name("N"), "threads (0: as many as the machine has)")(
      "config", po::value<std::string>()->value_name("FILE"), "read options from FILE, lines of 'name = value'")(
      "quiet", po::bool_switch(), "print results and errors only")("verbose", po::bool_switch(), "print more");
}

bool parse_options(const char* program, const std::string& usage, int argc, char** argv,
                   const po::options_description& options, const po::positional_options_description* positional,
                   po::variables_map& values, CommonOptions& common) {
  try {
    po::command_line_parser parser(argc, argv);
    namespace style = po::command_line_style;
    parser.options(options).style(style::unix_style & ~style::allow_guessing);
    const po::positional_options_description none;  // given so that stray words are refused
    parser.positional(positional != nullptr ? *positional : none);
    store_options(parser.run(), values);
  } catch (const po::error& error) {
    throw UsageError(last_line_without_period(error.what()) + "; see " + program + " --help");
  }
  if (values.count("help") != 0) {
    std::cout << usage << "\n" << options;
    return false;
  }
  if (values.count("version") != 0) {
    std::cout << version_text(program);
    return false;
  }
  if (values.count("config") != 0) parse_config(values["config"].as<std::string>(), options, values);
  po::notify(values);
  common.threads = values["threads"].as<unsigned>();
  common.quiet = values["quiet"].as<bool>();
  common.verbose = values["verbose"].as<bool>();
  if (common.quiet && common.verbose) throw UsageError("--quiet and --verbose exclude each other");
  return true;
}

}  // namespace strata
