"""Speed and memory, measured with pytest-benchmark."""
