"""The demo: one simulated house, its utility, the edge service and a real Home Assistant, on this machine only."""
