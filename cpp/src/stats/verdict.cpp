#include "fairopt/verdict.h"

#include <algorithm>

#include "fairopt/multiplicity.h"
#include "stats/check.h"

namespace fairopt::stats {
namespace {

double effective(const char* argument, bool counts, double p) {
  if (!counts) return 1;
  require(p >= 0 && p <= 1, "verdict", argument, "in [0, 1] for a defined gate", p);
  return p;
}

std::vector<std::int64_t> gates_where(const std::vector<GateState>& states, auto&& condition) {
  std::vector<std::int64_t> gates;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (condition(states[i])) gates.push_back(static_cast<std::int64_t>(i));
  }
  return gates;
}

}  // namespace

Verdict verdict(std::span<const Gate> gates, const VerdictOptions& options) {
  require(!gates.empty(), "verdict", "gates", "at least one gate", gates.size());
  require_alpha("verdict", options.alpha_ship);
  require_alpha("verdict", options.alpha_hold);
  std::vector<double> ok;
  std::vector<double> bad;
  for (const Gate& gate : gates) {
    ok.push_back(effective("p_ok", !gate.undefined && !gate.no_ship, gate.p_ok));
    bad.push_back(effective("p_bad", !gate.undefined && !gate.no_hold, gate.p_bad));
  }
  Verdict result;
  result.p_bad_holm = holm(bad);
  for (std::size_t i = 0; i < gates.size(); ++i) {
    result.states.push_back(gates[i].undefined                           ? GateState::kUndefined
                            : result.p_bad_holm[i] <= options.alpha_hold ? GateState::kFail
                            : ok[i] <= options.alpha_ship                ? GateState::kPass
                                                                         : GateState::kUndecided);
  }
  result.deciding = gates_where(result.states, [](GateState state) { return state == GateState::kFail; });
  if (!result.deciding.empty()) {
    result.decision = Decision::kHold;
    return result;
  }
  result.deciding = gates_where(result.states, [](GateState state) { return state != GateState::kPass; });
  result.decision = result.deciding.empty() ? Decision::kShip : Decision::kInconclusive;
  if (result.deciding.empty()) result.deciding = gates_where(result.states, [](GateState) { return true; });
  return result;
}

}  // namespace fairopt::stats
