"""From sources of pictures to numbers: views, the cache, the pass over a source, metrics by name."""
