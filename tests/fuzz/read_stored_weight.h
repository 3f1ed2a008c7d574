// Whatever bytes claim to be a stored weight: it is refused, or every reader of it stays within its buffers.
#pragma once
#include <cstddef>
#include <cstdint>

/// Reads `size` bytes as a shape, a format, codes, scales and zero points, and takes them through all readers. Returns
/// 0; aborts where packing is not undone by unpacking. Sanitizers see the rest.
int read_stored_weight(const std::uint8_t* data, std::size_t size);
