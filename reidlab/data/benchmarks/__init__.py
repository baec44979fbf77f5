"""Public re-identification benchmarks: their facts, and one scanner per family of layouts."""
