"""Samples per second compared with other implementations. Open `bench` first."""
