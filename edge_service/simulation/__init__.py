"""A simulated site and utility: real protocols on loopback, driven by physical models."""
