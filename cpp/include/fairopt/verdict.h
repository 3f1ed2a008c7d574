// Three answers from many gates: SHIP needs every gate, HOLD needs any, and "we cannot tell" is an answer of its own.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "fairopt/paired_test.h"

namespace fairopt::stats {

enum class Decision : std::uint8_t { kShip, kHold, kInconclusive };

/// What a gate brings to the verdict.
struct Gate {
  double p_ok = 0;
  double p_bad = 0;
  bool undefined = false;  ///< both p values count as 1
  bool no_ship = false;    ///< p_ok counts as 1
  bool no_hold = false;    ///< p_bad counts as 1
};

enum class GateState : std::uint8_t { kPass, kFail, kUndecided, kUndefined };

struct VerdictOptions {
  double alpha_ship = 0.05;  ///< each gate's own level: an intersection-union test needs no correction
  double alpha_hold = 0.05;  ///< of the Holm-adjusted p values
};

struct Verdict {
  Decision decision = Decision::kInconclusive;
  std::vector<double> p_bad_holm;  ///< over all gates, undefined ones included as 1
  std::vector<GateState> states;
  std::vector<std::int64_t> deciding;  ///< HOLD: the gates that fail; INCONCLUSIVE: those that do not pass; SHIP: all
};

/// A pure function of the p values. Throws std::invalid_argument without gates, or when a p value is needed and outside
/// [0, 1].
Verdict verdict(std::span<const Gate> gates, const VerdictOptions& options = {});

}  // namespace fairopt::stats
