"""The audit report as HTML, Markdown and JSON."""
