// One function a topic; module.cpp calls them all.
#pragma once
#include <pybind11/pybind11.h>

namespace fairopt::bindings {}
