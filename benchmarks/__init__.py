"""Speed and memory, measured with pytest-benchmark; every benchmark first asserts agreement with the reference."""
