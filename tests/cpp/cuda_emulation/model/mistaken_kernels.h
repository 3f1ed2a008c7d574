#pragma once
#include "cuda_types.h"

enum class Mistake {
  kNone,
  kNoneDynamic,
  kNoBarrier,
  kBarrierOfSome,
  kBarriersAtTwoPlaces,
  kLeftBeforeBarrier,  // which the hardware forgives
  kShuffleFromGone,
  kMisaligned,
  kTooManyThreads,
  kTooMuchMemory,
};

/// Runs a kernel on 64 values.
__attribute__((visibility("default"))) cudaError_t launch_mistaken(Mistake mistake, float* values);
__attribute__((visibility("default"))) const char* error_of_mistake(cudaError_t error);
