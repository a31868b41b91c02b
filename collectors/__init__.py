"""Everything that is measured: sources, samples, the bus, the store and the detectors."""
