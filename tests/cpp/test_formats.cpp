// The tables of formats.h against the properties that define them, and the levels against the CPU's own word.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "all_formats.h"
#include "catch.h"
#include "fairopt/cpu_capability.h"
#include "fairopt/format.h"
#include "fairopt/quantize.h"
#include "kernels/formats.h"

using namespace fairopt;

TEST_CASE("formats: NF4 thresholds are the midpoints of their neighbours", "[formats]") {
  for (int i = 0; i < 15; ++i) {
    REQUIRE(formats::kNf4[i] < formats::kNf4[i + 1]);
    const double midpoint = (static_cast<double>(formats::kNf4[i]) + static_cast<double>(formats::kNf4[i + 1])) / 2;
    // The double midpoint of two floats, rounded once to fp32: half a unit in the last place.
    REQUIRE(std::abs(formats::kNf4Thresholds[i] - midpoint) <= 0x1p-25);
  }
}

TEST_CASE("formats: FP4 ranks are the magnitudes in order, thresholds lie between neighbours", "[formats]") {
  for (int i = 0; i < 7; ++i) {
    const double below = formats::kFp4[formats::kFp4CodeOfRank[i]],
                 above = formats::kFp4[formats::kFp4CodeOfRank[i + 1]];
    REQUIRE(below < above);
    // Magnitudes and thresholds are each rounded to fp32 (half a unit below 1: 2^-25), the thresholds from the eight
    // decimals that bitsandbytes writes (5e-9).
    REQUIRE(std::abs(formats::kFp4Thresholds[i] - (below + above) / 2) <= 0x1p-24 + 5e-9);
  }
  for (int code = 0; code < 8; ++code) {
    REQUIRE(formats::kFp4[code | formats::kFp4SignBit] == -formats::kFp4[code]);
    REQUIRE(std::signbit(formats::kFp4[code | formats::kFp4SignBit]));
  }
}

TEST_CASE("formats: names round-trip and an unknown one lists the known", "[formats]") {
  for (const Format format : kAllFormats) REQUIRE(parse_format(name(format)) == format);
  REQUIRE_THROWS_WITH(parse_format("int5"), Catch::Matchers::ContainsSubstring("int8, int4_sym, int4_asym, nf4, fp4"));
}

TEST_CASE("formats: bits and zero points are what the name says", "[formats]") {
  for (const Format format : kAllFormats) {
    const std::string text(name(format));
    CAPTURE(text);
    REQUIRE(code_bits(format) == text[text.find_first_of("0123456789")] - '0');
    const bool has_float = text.find("float") != text.npos || text == "int4_tinygemm";
    const bool integer = !has_float && text.find("_asym") != text.npos;
    REQUIRE(zero_point(format) == (has_float ? ZeroPoint::kFloat : integer ? ZeroPoint::kInteger : ZeroPoint::kNone));
  }
}

TEST_CASE("formats: a row of codes and scales has the stated size", "[formats]") {
  const QuantizedLayout four{Format::kNf4, 2, 65, 64}, eight{Format::kInt8, 2, 65, 64};
  REQUIRE(four.bytes_per_row() == 33);
  REQUIRE(four.blocks_per_row() == 2);
  REQUIRE(eight.bytes_per_row() == 65);
  REQUIRE(QuantizedLayout{Format::kInt3Sym, 2, 65, 64}.bytes_per_row() == 25);  // 195 bits
  REQUIRE(QuantizedLayout{Format::kInt6Sym, 1, 3, 64}.bytes_per_row() == 3);
  REQUIRE(QuantizedLayout{Format::kNf4, 1, 11008, 11008}.blocks_per_row() == 1);
  REQUIRE(QuantizedLayout{Format::kNf4, 1, 65, 1 << 20}.blocks_per_row() == 1);
  REQUIRE(QuantizedLayout{Format::kNf4, 0, 0, 64}.blocks_per_row() == 0);
}

#if defined(__linux__) && defined(__x86_64__)
TEST_CASE("levels: none that the CPU offers is missing", "[formats]") {
  // The kernel's list is a second witness beside __builtin_cpu_supports. Tests that loop over levels rely on this.
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line) && line.rfind("flags", 0) != 0) {
  }
  std::istringstream words(line);
  const std::set<std::string> flags{std::istream_iterator<std::string>(words), {}};
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(), [&](const char* name) { return flags.count(name) == 1; });
  };
  std::vector<std::string> expected{"baseline"};
  if (has({"avx2", "fma", "f16c"})) expected.emplace_back("avx2");
  if (has({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "fma", "f16c"})) {
    expected.emplace_back("avx512");
    if (has({"avx512_vnni"})) expected.emplace_back("avx512_vnni");
  }
  REQUIRE(cpu_capabilities() == expected);
}
#endif
