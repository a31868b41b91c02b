"""The detectors, scored on faults whose truth is known: cases, scores and the table of both."""
