// Whatever bytes claim to be a packed sparse weight: they are refused, or every reader of them stays within its
// buffers.
#pragma once
#include <cstddef>
#include <cstdint>

/// Reads `size` bytes as a shape, a type, a weight and changes to its packed form (counts that lie, masks that point
/// past the end, a stream cut short), and takes that through all readers. Returns 0; aborts where packing is not undone
/// by unpacking. Sanitizers see the rest.
int read_sparse_weight(const std::uint8_t* data, std::size_t size);
