"""The vendor's part of a project: scripts and components for Vitis (docs/vendor.md)."""
