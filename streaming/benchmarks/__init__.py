"""Samples per second beside other implementations. Open `bench` first."""
