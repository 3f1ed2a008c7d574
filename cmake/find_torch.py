"""Print the folder of the torch package that the interpreter's environment has, without importing it."""

import importlib.util
import os
import site
import sys
import sysconfig


def candidates():
    spec = importlib.util.find_spec("torch")
    if spec is not None and spec.origin is not None:
        yield os.path.dirname(spec.origin)
    for prefix in (sys.prefix, sys.base_prefix):
        for scheme in ("purelib", "platlib"):
            yield os.path.join(sysconfig.get_path(scheme, vars={"base": prefix, "platbase": prefix}), "torch")
    yield os.path.join(site.getusersitepackages(), "torch")


print(next((d for d in candidates() if os.path.exists(os.path.join(d, "lib", "libtorch_cpu.so"))), ""))
