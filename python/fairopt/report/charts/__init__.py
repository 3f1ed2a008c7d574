"""Inline SVG, drawn with classes only: a content-security policy forbids style attributes."""
