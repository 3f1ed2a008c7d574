// An interval with its two-sided level.
#pragma once

namespace fairopt::stats {

struct Interval {
  double low = 0;  ///< NaN where undefined, like `high`
  double high = 0;
  double level = 0;  ///< two-sided: 0.90 puts 5 % beyond either end
};

}  // namespace fairopt::stats
