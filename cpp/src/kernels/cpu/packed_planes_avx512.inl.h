// What packed_planes needs of the avx512 levels beyond the vector layer.

inline I32 operator*(I32 a, I32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline F32 fused(F32 a, F32 b, F32 c) { return fma(a, b, c); }
inline I32 round_wide(F32 a) { return round_to_int(a); }
