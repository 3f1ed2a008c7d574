# The two commands of the README, and what developers need beside them.
.PHONY: audit test lint asan format clean

BIN := .venv/bin
OUT ?= build/audit

audit: ## compress the embedded model twice and audit both against it
	@tools/setup.sh run
	@tools/audit_demo.sh "$(OUT)"

test: ## C++ tests, Python tests, checks
	@tools/setup.sh test
	@ctest --test-dir build/editable --output-on-failure
	@$(BIN)/python -m pytest

lint: ## what CI checks without running anything: style, types, layers
	@tools/setup.sh test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $$(git ls-files '*.h' '*.cpp' '*.cu')
	$(BIN)/python tools/check_layers.py
	$(BIN)/python tools/check_file_length.py

asan: ## the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@tools/setup.sh test
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --preset asan -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python"
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build --preset asan
	ctest --preset asan

format:
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $$(git ls-files '*.h' '*.cpp' '*.cu')

clean:
	rm -rf build
